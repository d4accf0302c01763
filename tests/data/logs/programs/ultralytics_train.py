"""A YOLO made from its configuration, trained on four random pictures."""
import pathlib

import numpy
from PIL import Image
from ultralytics import YOLO

root = pathlib.Path("pictures").absolute()
rng = numpy.random.default_rng(0)
for part in ("images", "labels"):
    (root / part).mkdir(parents=True, exist_ok=True)
for n in range(4):
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=numpy.uint8)).save(root / f"images/{n}.png")
    (root / f"labels/{n}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
data = root / "data.yaml"
data.write_text(f"path: {root}\ntrain: images\nval: images\nnames: [thing]\n")
YOLO("yolov8n.yaml").train(
    data=str(data), epochs=3, imgsz=64, batch=2, device="cpu", workers=0, amp=False, plots=False,
)
