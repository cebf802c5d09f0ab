"""An upgrade tried on a twin: the cluster's own objects on a real control plane, and the very plan run there."""
