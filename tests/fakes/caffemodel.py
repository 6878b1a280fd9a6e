"""Files of Caffe, written by the protobuf package from messages described here."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELDS = {
    "BlobShape": [("dim", 1, "int64", True)],
    "BlobProto": [
        ("num", 1, "int32", False), ("channels", 2, "int32", False), ("height", 3, "int32", False),
        ("width", 4, "int32", False), ("data", 5, "float", True), ("shape", 7, "BlobShape", False),
        ("double_data", 8, "double", True),
    ],
    "LayerParameter": [
        ("name", 1, "string", False), ("type", 2, "string", False), ("bottom", 3, "string", True),
        ("blobs", 7, "BlobProto", True), ("phase", 10, "int32", False),
    ],
    "V1LayerParameter": [
        ("bottom", 2, "string", True), ("name", 4, "string", False), ("type", 5, "int32", False),
        ("blobs", 6, "BlobProto", True),
    ],
    "NetParameter": [
        ("name", 1, "string", False), ("layers", 2, "V1LayerParameter", True),
        ("layer", 100, "LayerParameter", True),
    ],
}  # fmt: skip


def net_parameter(packed=True):
    """Return an empty NetParameter of caffe.proto, with the fields that matter here."""
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe_{packed}.proto", package=f"c{packed}")
    file.syntax = "proto2"
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            field = described.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _FIELDS:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".c{packed}.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
                field.options.packed = packed and repeated and kind != "string"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"c{packed}.NetParameter"))()


def write_caffemodel(path, layers, *, old=False, packed=True, double=False):
    """Write layers (name to arrays) as Caffe does; `old` in the form of V1LayerParameter."""
    net = net_parameter(packed)
    net.name = "net"
    for name, arrays in layers.items():
        layer = (net.layers if old else net.layer).add(name=name)
        layer.bottom.append("data")
        for array in arrays:
            blob = layer.blobs.add()
            if old:
                sizes = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sizes
            else:
                blob.shape.dim.extend(array.shape)
            (blob.double_data if double else blob.data).extend(array.ravel().tolist())
    path.write_bytes(net.SerializeToString())
    return path
