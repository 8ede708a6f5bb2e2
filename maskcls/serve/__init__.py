"""HTTP server that predicts photos.

A request's way: `guard` (who may ask), `body` (bytes within the limits), `uploads` (photos of the body), `service`
(decoding and admission), `batching` (the model), `answers` (JSON). Nothing of a photo is written to disk or to a log.
"""
