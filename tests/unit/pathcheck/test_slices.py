"""EndpointSlices that are read when they are asked for: those of one Service, or all."""

from netlab.pathcheck.slices import _FEW, Slices


def slice_of(name):
    labels = {"kubernetes.io/service-name": name}
    return {"metadata": {"name": f"{name}-x", "namespace": "default", "labels": labels}}


def reading():
    """Slices of twenty Services, and what has been read."""
    asked = []
    all_ = [slice_of(f"web{n}") for n in range(20)]

    def read():
        asked.append("all")
        return all_

    def of(service):
        asked.append(service)
        return [one for one in all_ if f"default/{one['metadata']['name']}" == f"{service}-x"]

    return Slices(read, of), asked, all_


def test_those_of_a_service_are_read_alone_and_once():
    slices, asked, all_ = reading()
    assert slices.of("default/web3") == [all_[3]]
    assert slices.of("default/web3") == [all_[3]]
    assert slices.of("default/none") == []
    assert asked == ["default/web3", "default/none"]


def test_of_many_services_all_are_read_at_once():
    slices, asked, all_ = reading()
    for number in range(20):
        assert list(slices.of(f"default/web{number}")) == [all_[number]]
    assert list(slices.of("default/none")) == []
    assert asked == [*(f"default/web{n}" for n in range(_FEW)), "all"]


def test_it_is_a_sequence_of_all():
    slices, asked, all_ = reading()
    assert (list(slices), len(slices), slices[0], slices[1:3]) == (all_, 20, all_[0], all_[1:3])
    assert asked == ["all"]
