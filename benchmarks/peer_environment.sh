#!/bin/sh
# Makes a virtual environment with StarDist and TensorFlow, which predict_speed.py and startup.py
# compare with: sh benchmarks/peer_environment.sh FOLDER
set -e
python3 -m venv "$1"
"$1/bin/pip" install --prefer-binary tensorflow-cpu==2.21.0 stardist==0.9.2
