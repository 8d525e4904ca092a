"""A local Discord: state in `world`, what happens in `service`, sockets in `gateway` and `rest*`, people in `people`, judges in
`openapi` and `rules`, all of it put together in `server`. It knows nothing of Timbre."""
