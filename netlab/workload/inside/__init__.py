"""Programs that netlab brings into pods: they run there, by the machine's own python3.

They have the rights of the pod and no others, and nothing beside them but the standard library
(`pod_programs` packs them).
"""
