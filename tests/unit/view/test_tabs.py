from netlab.view.tabs import align


def test_neighbouring_lines_share_a_column() -> None:
    assert align(["a:\tx", "long:\ty"]) == "a:     x\nlong:  y"


def test_a_line_without_the_cell_ends_the_block() -> None:
    lines = align(["a:\tx", "no tab in here", "longer:\ty"]).split("\n")
    assert lines == ["a:  x", "no tab in here", "longer:  y"]


def test_inner_columns_are_blocks_of_their_own() -> None:
    lines = align(["Port:\thttp\t80", "Target:\t8080", "Port:\tdns-name\t53"]).split("\n")
    assert lines == ["Port:    http  80", "Target:  8080", "Port:    dns-name  53"]


def test_the_last_cell_widens_nothing() -> None:
    assert align(["a\tvery long text", "b\tx"]) == "a  very long text\nb  x"


def test_nothing_is_nothing() -> None:
    assert align([]) == ""
