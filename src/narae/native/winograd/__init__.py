"""Winograd's convolutions: 3 x 3 taps with 16 multiplications for four outputs, instead of 36.

A picture is cut into tiles of 2 x 2 outputs. With the 4 x 4 inputs d of a tile, the taps g, and
three small constant matrices (see `transforms`),

    y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

(Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", eq. 8)

Summed over channels, each of the 16 places of ⊙ is a matrix product (tiles x channels) times
(channels x output channels), and so is each of the gradients:

    grad_x = the same convolution of grad_out with the taps turned round
    grad_w = Gᵀ [sum over tiles of (Bᵀ d B) ⊙ (A grad_y Aᵀ)] G
"""
