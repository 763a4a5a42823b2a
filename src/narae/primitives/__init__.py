"""Floor 2: every mathematical fact once. One record for each primitive, in files by family."""

from narae.ir import bind

from .activations import (
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu,
    silu,
    softplus,
    softshrink,
    threshold,
)
from .attention import attention, attention_grad
from .average_pool import average_pool
from .blends import (
    addcdiv,
    addcmul,
    clamp,
    copysign,
    exp2,
    fmax,
    fmin,
    hypot,
    lerp,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    logit,
    masked_fill,
    nan_to_num,
    reciprocal,
    sinc,
    xlogy,
)
from .class_losses import (
    cross_entropy,
    cross_entropy_2d,
    cross_entropy_grad,
    cross_entropy_soft,
    nll_loss,
    nll_loss_2d,
    nll_loss_grad,
)
from .composite import Composite
from .contractions import conv, conv_grad_w, conv_grad_x, matmul, transpose_last
from .control import call, scan
from .convolution import conv_transpose, convolution
from .ctc import ctc_loss, ctc_loss_grad
from .cumulative import cummax, cummin, cumprod, cumsum
from .dropout import dropout, dropout_mask
from .elementwise import (
    abs_,
    acos,
    acosh,
    add,
    and_,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cast,
    ceil,
    copy,
    cos,
    cosh,
    detach,
    digamma,
    div,
    eq,
    erf,
    erfc,
    erfinv,
    exp,
    expm1,
    floor,
    floor_divide,
    fmod,
    le,
    lgamma,
    log,
    log1p,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    not_,
    or_,
    polygamma,
    pow_,
    remainder,
    round_,
    rsqrt,
    shift_left,
    shift_right,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    sub,
    tan,
    tanh,
    trunc,
    where,
    xor,
)
from .embedding import embedding, renormed_rows
from .folding import col2im, im2col
from .generators import full, iota, ones, random_bits, zeros
from .indexing import gather, index_add, scatter, scatter_add, take
from .linear import linear, linear_without_bias
from .linear_algebra import solve, triangular_solve
from .linear_algebra_factors import (
    cholesky,
    cholesky_solve,
    geqrf,
    ldl,
    ldl_solve,
    lu,
    permutation,
    put_rows,
    qr,
    take_rows,
)
from .linear_algebra_functions import cofactor, det, matrix_exp, slogdet
from .linear_algebra_spectra import eigh, eigvalsh, lstsq, pinv, svd, svdvals
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
    soft_margin_loss,
)
from .margin_losses import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    pairwise_distance,
    poisson_nll_loss,
    triplet_hinge,
    triplet_margin_loss,
)
from .movement import (
    concat,
    diagonal,
    expand,
    flip,
    fold_windows,
    narrow,
    pad,
    permute,
    reshape,
    slice_,
    update_diagonal,
    update_slice,
    windows,
)
from .normalization import (
    batch_norm,
    fixed_norm,
    group_norm,
    layer_norm,
    moving_average,
    rms_norm,
)
from .ordering import sort, topk
from .pooling import max_pool, max_pool_grad, window_sum, window_sum_grad
from .record import REGISTRY, Primitive, is_number, shape_of
from .recurrent import gru_cell, gru_cell_grad, lstm_cell, lstm_cell_grad
from .reductions import amax, amin, argmax, argmin, prod, sum_
from .resizing import resize
from .sampling import grid_sample, grid_sample_grad_grid, grid_sample_grad_x
from .scattering import scatter_reduce
from .special_bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_k0,
    bessel_k1,
    bessel_y0,
    bessel_y1,
    orthogonal_polynomial,
    scaled_bessel_k0,
    scaled_bessel_k1,
    spherical_bessel_j0,
)
from .special_functions import (
    entr,
    erfcx,
    i0,
    i0e,
    i1,
    i1e,
    igamma,
    igammac,
    log_ndtr,
    mvlgamma,
    ndtr,
    ndtri,
    xlog1py,
    zeta,
)
from .special_numbers import frexp, gcd, lcm, nextafter
from .statistics import (
    log_softmax,
    logcumsumexp,
    logsumexp,
    max_with_index,
    mean,
    median,
    median_place,
    min_with_index,
    softmax,
    std,
    var,
    vector_norm,
)
from .unbroadcast import sum_to_shape
from .views import (
    as_strided,
    select,
    squeeze,
    squeeze_all,
    stack,
    swapped,
    t,
    transpose,
    unsqueeze,
    write_at,
)
