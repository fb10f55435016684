"""What a lab has before somebody puts something there, for tests without a control plane."""

from netlab.objects.bootstrap import control_plane_objects, node_object
from netlab.objects.lab import Lab
from netlab.objects.meta import AnyObject


def initial_objects(lab: Lab) -> list[AnyObject]:
    """The control plane's own objects, and its nodes, in the order of creation."""
    return [*control_plane_objects(lab), *(node_object(node) for node in lab.nodes)]
