// To 16-bit floating point without cuda_fp16.h, which NVRTC's wheel does not bring along.

// Bits of the nearest half, ties to even, as IEEE 754 has it.
__device__ unsigned short half_bits(float value) {
    unsigned int bits = __float_as_uint(value);
    unsigned int sign = (bits >> 16) & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return static_cast<unsigned short>(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return static_cast<unsigned short>(sign | 0x7c00u);
    if (bits < 0x38800000u) {
        // The last bit of a sum near 0.5 is as much as the last bit of a subnormal half.
        unsigned int sum = __float_as_uint(__uint_as_float(bits) + 0.5f);
        return static_cast<unsigned short>(sign | (sum - 0x3f000000u));
    }
    unsigned int odd = (bits >> 13) & 1u;
    return static_cast<unsigned short>(sign | ((bits - 0x38000000u + 0xfffu + odd) >> 13));
}
