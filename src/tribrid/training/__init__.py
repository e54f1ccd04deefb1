"""From triplets to a reranker: the blend (seconds), the cross-encoder (minutes), and the choice between them.

train.py is the way through: lists.py makes lists of the triplets, blend.py fits the blend, torch_cross_encoder.py the
cross-encoder (torch_loop.py is the loop, lessons.py what it is taught, health.py when it is stopped, torch_joint.py and
torch_hub.py the two kinds), calibration.py says what a score is worth, onnx_blend.py takes the blend elsewhere, and so
does torch_student.py, whose cross-encoder is taught a whole model's order.
"""
