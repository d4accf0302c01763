"""nvidia-smi, df and ps are read whatever a driver leaves out."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.machine import readings
from sandbox_ops.models import Disk, ForeignProcess

BUSY = "0, NVIDIA H100 80GB HBM3, GPU-1a, 97, 1234, 81559, 45, 580.159.04\n"
PROCESSES = "GPU-1a, 435, 1220, python3\nGPU-1a, 436, [N/A], [Not Found]\n"


def test_a_busy_gpu_is_read_with_who_holds_its_memory() -> None:
    (gpu,) = readings.gpus(BUSY, PROCESSES)
    assert (gpu.index, gpu.name, gpu.utilization_percent) == (
        0,
        "NVIDIA H100 80GB HBM3",
        97,
    )
    assert (gpu.memory_used_mib, gpu.memory_total_mib, gpu.temperature_c) == (
        1234,
        81559,
        45,
    )
    assert [(p.pid, p.memory_used_mib) for p in gpu.processes] == [
        (435, 1220),
        (436, None),
    ]


def test_what_a_driver_does_not_tell_is_none() -> None:
    (gpu,) = readings.gpus(
        "1, Tesla, GPU-2, [N/A], [Not Supported], 16160, [N/A], 470\n"
    )
    assert (gpu.utilization_percent, gpu.memory_used_mib, gpu.temperature_c) == (
        None,
    ) * 3
    assert gpu.memory_total_mib == 16160


def test_df_is_read_with_inodes_and_without() -> None:
    blocks = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 100 40 60 40% /data dir\n"
    inodes = "\nFilesystem Inodes IUsed IFree IUse% Mounted on\n/dev/vda 50 20 30 40% /data dir\n"
    assert readings.disk(blocks + inodes) == Disk(
        path="/data dir", free_bytes=61440, total_bytes=102400, free_inodes=30
    )
    result = readings.disk(blocks + inodes.replace("50 20 30 40%", "0 0 0 -"))
    assert result is not None
    assert result.free_inodes is None


def test_processes_that_are_not_ours_are_read_with_their_owner() -> None:
    assert list(readings.foreign("12 ana 3600 python train.py --lr 1\nrubbish\n")) == [
        ForeignProcess(pid=12, user="ana", age_s=3600, command="python train.py --lr 1")
    ]


@given(st.text(), st.text())
def test_any_text_is_read(first: str, second: str) -> None:
    readings.gpus(first, second)
    readings.disk(first)
    list(readings.foreign(first))
