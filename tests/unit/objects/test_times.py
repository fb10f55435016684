from netlab.objects.times import seconds, timestamp


def test_times_there_and_back():
    assert timestamp(1_767_268_800.9) == "2026-01-01T12:00:00Z"
    assert seconds("2026-01-01T12:00:00Z") == 1_767_268_800
    assert seconds("2026-01-01T12:00:00.500000Z") == 1_767_268_800.5
    assert seconds(None) == seconds("") == 0


def test_what_is_no_time_is_none():
    assert seconds("junk") == seconds("") == seconds(None) == 0.0
