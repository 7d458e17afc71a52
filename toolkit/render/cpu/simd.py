"""Eight float32 lanes as a numba value, so that a kernel says itself what runs side by side.

A processor can add eight numbers in the time of one (SIMD). Compilers find such groups in simple
loops, but not in loops with conditions, such as those of compositing. So the kernels name them:
`lanes(x)` spreads a scalar, `load`/`store` move eight neighbouring floats (no alignment needed),
+ - * / and comparisons work lane by lane, `where(mask, a, b)` chooses. LLVM maps this to AVX on
x86 and to pairs of NEON registers on ARM.

Memory is named by address (`array.ctypes.data`) and an index in floats: array arguments would cost
atomic reference counts at every call. Nothing is checked, and the caller keeps the arrays alive.
Numba's disk cache does not see edits of this file: delete `toolkit/render/cpu/__pycache__` after
one.

How it works: `intrinsic` gives numba a function whose body is LLVM code, written by `codegen`.
`typingctx` and `context` are numba's, `builder` appends LLVM instructions, `args` are their values.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_FAST = ("contract", "nsz")


class _Type(types.Type):
    def __init__(self, name):
        super().__init__(name=name)


class _LanesType(_Type):
    pass


class _MaskType(_Type):
    pass


lanes_type, mask_type = _LanesType("lanes8"), _MaskType("mask8")


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _VECTOR)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _MASK)


def _spread(builder, scalar):
    one = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), zeros)


@intrinsic
def lanes(typingctx, scalar):
    """All lanes equal to a float32."""

    def codegen(context, builder, signature, args):
        return _spread(builder, context.cast(builder, args[0], signature.args[0], types.float32))

    return lanes_type(scalar), codegen


@intrinsic
def counting(typingctx):
    """0, 1, ... 7."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_VECTOR, [float(i) for i in range(LANES)])

    return lanes_type(), codegen


def _address(context, builder, signature, args, kind):
    offset = builder.mul(
        context.cast(builder, args[1], signature.args[1], types.int64),
        ir.Constant(ir.IntType(64), 4),
    )
    return builder.inttoptr(builder.add(args[0], offset), kind.as_pointer())


@intrinsic
def peek(typingctx, address, index):
    """The float32 at address + 4 index."""

    def codegen(context, builder, signature, args):
        return builder.load(_address(context, builder, signature, args, ir.FloatType()), align=4)

    return types.float32(types.int64, index), codegen


@intrinsic
def load(typingctx, address, index):
    """Eight float32 from address + 4 index."""

    def codegen(context, builder, signature, args):
        return builder.load(_address(context, builder, signature, args, _VECTOR), align=4)

    return lanes_type(types.int64, index), codegen


@intrinsic
def store(typingctx, address, index, value):
    """Write eight float32 to address + 4 index."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _address(context, builder, signature, args, _VECTOR), align=4)
        return context.get_dummy_value()

    return types.none(types.int64, index, value), codegen


@intrinsic
def where(typingctx, mask, yes, no):
    """yes where the mask is set, else no."""

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return lanes_type(mask, yes, no), codegen


@intrinsic
def root(typingctx, value):
    """Square root of each lane."""

    def codegen(context, builder, signature, args):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.sqrt.v{LANES}f32"
        )
        return builder.call(function, args)

    return lanes_type(value), codegen


@intrinsic
def any_lane(typingctx, mask):
    """True if the mask is set in at least one lane."""

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(mask), codegen


@intrinsic
def total(typingctx, value):
    """Sum of the lanes, always in the same order."""

    def codegen(context, builder, signature, args):
        v = args[0]
        for half in (4, 2, 1):
            indices = [(i + half) % LANES for i in range(LANES)]
            moved = builder.shuffle_vector(
                v, v, ir.Constant(ir.VectorType(ir.IntType(32), LANES), indices)
            )
            v = builder.fadd(v, moved)
        return builder.extract_element(v, ir.Constant(ir.IntType(32), 0))

    return types.float32(value), codegen


def _operation(emit, result):
    @intrinsic
    def operation(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return emit(builder, *args)

        return result(a, b), codegen

    return operation


def _define(operator_function, emit, result=lanes_type, operands=lanes_type):
    """Teach numba one binary operator on lanes; scalars must be spread first."""
    operation = _operation(emit, result)

    @overload(operator_function)
    def implementation(a, b):
        if a == operands and b == operands:
            return lambda a, b: operation(a, b)


def _smaller(builder, a, b):
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _bigger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


_define(operator.add, lambda b, x, y: b.fadd(x, y, flags=_FAST))
_define(operator.sub, lambda b, x, y: b.fsub(x, y, flags=_FAST))
_define(operator.mul, lambda b, x, y: b.fmul(x, y, flags=_FAST))
_define(operator.truediv, lambda b, x, y: b.fdiv(x, y, flags=_FAST))
_define(operator.lt, lambda b, x, y: b.fcmp_ordered("<", x, y), mask_type)
_define(operator.le, lambda b, x, y: b.fcmp_ordered("<=", x, y), mask_type)
_define(operator.gt, lambda b, x, y: b.fcmp_ordered(">", x, y), mask_type)
_define(operator.ge, lambda b, x, y: b.fcmp_ordered(">=", x, y), mask_type)
_define(operator.eq, lambda b, x, y: b.fcmp_ordered("==", x, y), mask_type)
_define(operator.and_, lambda b, x, y: b.and_(x, y), mask_type, mask_type)
smaller = _operation(_smaller, lanes_type)
bigger = _operation(_bigger, lanes_type)
