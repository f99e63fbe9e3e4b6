"""The nodes; importing this package registers them with KNIME."""

from microshot.device import share_heap
from microshot.nodes import (  # noqa: F401
    generate_synthetic,
    predict,
    read_images,
    read_model,
    retrain,
    score,
    suggest,
    train,
    translate,
    write_labels,
)

share_heap()
