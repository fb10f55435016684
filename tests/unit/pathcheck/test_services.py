"""Services that are read when they are asked for: one by its name, or all."""

import pytest

from netlab.pathcheck.services import _FEW, Services


def reading(number=30):
    """So many Services, and what has been read."""
    asked = []
    all_ = {f"default/web{n}": {"metadata": {"name": f"web{n}"}} for n in range(number)}

    def read():
        asked.append("all")
        return all_

    def one(key):
        asked.append(key)
        return all_.get(key)

    return Services(number, read, one), asked, all_


def test_one_is_read_alone_and_once():
    services, asked, all_ = reading()
    assert services["default/web3"] == services.get("default/web3") == all_["default/web3"]
    assert "default/none" not in services
    assert services.get("default/none") is None
    with pytest.raises(KeyError):
        services["default/none"]
    assert (len(services), asked) == (30, ["default/web3", "default/none"])


def test_who_goes_through_them_reads_all_once():
    services, asked, all_ = reading()
    assert dict(services.items()) == all_
    assert (list(services), services["default/web7"], len(services)) == (
        [*all_], all_["default/web7"], 30,
    )  # fmt: skip
    assert asked == ["all"]


def test_of_many_all_are_read_at_once():
    services, asked, all_ = reading()
    assert [services[key] for key in all_] == [*all_.values()]
    assert asked == [*list(all_)[:_FEW], "all"]
