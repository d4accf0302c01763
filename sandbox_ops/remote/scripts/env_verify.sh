#!/bin/sh
# usage: env_verify.sh PATH
#
# Computes one number on the GPU with the project's torch. Says `torch=VERSION` (empty
# where it is not installed), `cuda=yes|no`, `why=` and `gpu=yes|no`: is there one?
# uses: timeout
set -eu

cd "$1"
python=.venv/bin/python
[ -x "$python" ] || python=$(command -v python3 || :)
gpu=no
! command -v nvidia-smi >/dev/null 2>&1 || ! timeout 20 nvidia-smi -L >/dev/null 2>&1 || gpu=yes
echo "gpu=$gpu"
if [ -z "$python" ]; then
  echo "torch="
  exit 0
fi
exec "$python" - <<'END'
import importlib.util

if importlib.util.find_spec("torch") is None:
    print("torch=")
else:
    why = ""
    try:
        import torch

        version = torch.__version__
        try:
            torch.ones(1, device="cuda").item()
        except Exception as error:
            why = str(error).strip().split("\n")[0]
            if torch.version.cuda is None:
                why = "this torch was built without CUDA"
    except Exception as error:
        version, why = "broken", f"import torch: {error!r}".split("\n")[0]
    print(f"torch={version}\ncuda={'no' if why else 'yes'}\nwhy={why}")
END
