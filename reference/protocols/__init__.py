"""The protocols of the reference programs: pure cores, and the thin skins that hold the sockets."""
