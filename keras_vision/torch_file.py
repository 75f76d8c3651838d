"""PyTorch checkpoints read without PyTorch, and without running anything that is in them.

`torch.save` writes a pickle, a program for a stack machine that can call any function of Python.
The machine below understands the same program, but can call nothing: it knows the handful of
names that tensors are made of, and refuses all others. Both formats in use are read: the zip
archive of today and the stream of PyTorch before 1.6, of which many published files are.
"""

import io
import pickletools
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from keras_vision import downloads

STREAM = 0x1950A86A20F9469CFC6C, 1001  # the magic number and the version that open a stream
STORAGES = {
    "Half": np.float16, "Float": np.float32, "Double": np.float64, "BFloat16": ml_dtypes.bfloat16,
    "Char": np.int8, "Short": np.int16, "Int": np.int32, "Long": np.int64, "Byte": np.uint8,
    "Bool": np.bool_, "ComplexFloat": np.complex64, "ComplexDouble": np.complex128,
}  # fmt: skip
LATER = {  # what has no storage of its own: its bytes are untyped, and a name tells what they are
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn, "float8_e5m2": ml_dtypes.float8_e5m2,
}  # fmt: skip


def state_dict(path):
    """The state dict of a checkpoint: {name: array (...)}, in the file's order.

    It is the whole file, or what lies in it under "state_dict" or "model". Raises ValueError as
    `load` does, and where there is none.
    """
    found = load(path)
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(x, np.ndarray) for x in found.values()):
        raise ValueError(
            f"{path} holds no state dict, that is, names of tensors and nothing else."
        )
    return found


def load(path):
    """What `torch.load(path, weights_only=True)` returns, with an array in place of a tensor.

    Arrays share memory and have strides as the tensors had; bfloat16 and the like are the types
    of `ml_dtypes`. Raises ValueError, which names the file, for anything but a whole checkpoint
    of tensors, numbers, strings and dicts, lists and tuples of them.
    """
    data = Path(path).read_bytes()
    try:
        return from_zip(data) if data.startswith(b"PK") else from_stream(data)
    except Exception as error:  # whatever damaged bytes happen to raise
        page = " but a web page" if downloads.is_page(path) else ""
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is no whole PyTorch checkpoint{page}: {reason}") from error


def from_zip(data):
    """archive/data.pkl is the pickle, archive/data/0, 1, 2 ... are the storages' bytes."""
    # Not opened as a file, of which a damaged archive could ask gigabytes at once.
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > len(data) or any(member.compress_type for member in members):
            raise ValueError(f"it declares {size:,} bytes, more than it has, or compressed ones")
        (pickle,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        root = pickle.removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist():
            refuse_unless(archive.read(f"{root}byteorder") == b"little", "its bytes are reversed")
        read = {}

        def storage(dtype, key, count):
            if key not in read:
                read[key] = archive.read(f"{root}data/{key}")
            refuse_unless(len(read[key]) == count * dtype.itemsize, f"storage {key} is cut short")
            return dtype, read[key]

        return unpickled(io.BytesIO(archive.read(pickle)), storage)


def from_stream(data):
    """Five pickles, of which the fourth is ours and the fifth lists the storages that follow."""
    file = io.BytesIO(data)
    if (unpickled(file), unpickled(file)) != STREAM:
        raise ValueError("it is a pickle of another kind")
    refuse_unless(unpickled(file)["little_endian"], "its bytes are reversed")
    awaited, declared = {}, 0

    def storage(dtype, key, count):
        nonlocal declared
        if key not in awaited:
            declared += count * dtype.itemsize
            refuse_unless(declared <= len(data), f"storage {key} is cut short")
            awaited[key] = dtype, np.zeros(count * dtype.itemsize, "uint8")  # filled below
        return awaited[key]

    found = unpickled(file, storage)
    keys = unpickled(file)
    refuse_unless(set(keys) == set(awaited), "its storages are not those of its tensors")
    for key in keys:
        dtype, buffer = awaited[key]
        count = int.from_bytes(file.read(8), "little")
        whole = count * dtype.itemsize == len(buffer) == file.readinto(buffer)
        refuse_unless(whole, f"storage {key} is cut short")
    return found


def refuse_unless(fine, problem):
    if not fine:
        raise ValueError(problem)


def unpickled(file, storage=None):
    """Runs one pickle, of the instructions that checkpoints need; leaves `file` behind it.

    storage: (dtype, key, count) -> (dtype, bytes), called where the pickle speaks of a storage.
    """
    stack, below, memo = [], [], {}  # `below` are the stacks under the marks
    for code, argument, _ in pickletools.genops(file):
        match code.name:
            case "PROTO" | "STOP":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[code.name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(argument)
            case "BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING":
                stack.append(argument)
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                stack.append({"TUPLE": tuple, "LIST": list, "DICT": dict}[code.name[6:]]())
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                below.append(stack)
                stack = []
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(code.name[-1])
                items = tuple(stack[-count:])
                refuse_unless(len(items) == count, "its pickle is damaged")
                stack[-count:] = [items]
            case "TUPLE":
                stack, items = below.pop(), tuple(stack)
                stack.append(items)
            case "APPEND":
                last = stack.pop()
                stack[-1].append(last)
            case "APPENDS":
                stack, items = below.pop(), stack
                stack[-1].extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                fill(stack[-1], [(key, value)])
            case "SETITEMS":
                stack, items = below.pop(), stack
                fill(stack[-1], zip(items[::2], items[1::2], strict=True))
            case "GLOBAL":
                stack.append(known(argument))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(stack.pop()(*arguments))
            case "BUILD":  # attributes, such as an OrderedDict's versions
                stack.pop()
            case "BINPERSID":
                _, dtype, key, _, count, *view = stack.pop()
                refuse_unless(view in ([], [None]), "it has storages that are views of others")
                stack.append(storage(dtype, key, count))
            case other:
                raise ValueError(f"it has an instruction {other}, which no tensor needs")
    (result,) = stack
    return result


def known(name):
    """What stands for a name of Python's in a pickle."""
    if name not in NAMES:
        raise ValueError(
            f"it wants {name.replace(' ', '.')}, which no tensor needs and may be any code: "
            "save a state dict instead, torch.save(model.state_dict(), ...)"
        )
    return NAMES[name]


def fill(target, pairs):
    for key, value in pairs:
        refuse_unless(isinstance(key, str | int), "its names are no strings")  # cheap to hash
        target[key] = value


def ordered_dict(pairs=()):
    """An OrderedDict, whose items follow, or stand here if Python 2 wrote it."""
    found = {}
    fill(found, pairs)
    return found


def tensor(storage, offset, size, stride, requires_grad=None, hooks=None, metadata=None):
    """A view of a storage's bytes; NumPy refuses one that reaches beyond them."""
    refuse_unless(not metadata, f"it has tensors with {metadata}")
    dtype, buffer = storage
    strides = [step * dtype.itemsize for step in stride]
    if 0 in size:
        return np.empty(size, dtype)
    return np.ndarray(size, dtype, buffer, offset * dtype.itemsize, strides)


def later_tensor(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    return tensor((dtype, storage[1]), offset, size, stride, metadata=metadata)


def parameter(data, requires_grad=None, hooks=None):
    return data


NAMES = {
    "collections OrderedDict": ordered_dict,
    "torch Size": tuple,
    "torch._utils _rebuild_tensor": tensor,
    "torch._utils _rebuild_tensor_v2": tensor,
    "torch._utils _rebuild_tensor_v3": later_tensor,
    "torch._utils _rebuild_parameter": parameter,
    "torch.storage UntypedStorage": np.dtype("uint8"),
    **{f"torch {name}Storage": np.dtype(dtype) for name, dtype in STORAGES.items()},
    **{f"torch {name}": np.dtype(dtype) for name, dtype in LATER.items()},
}
