// Runs CUDA C++ on the host, unmodified, for tests.
//
// The threads of a grid run one after another. Where a kernel has barriers, each thread of a block is
// a fibre that hands over at the barrier, so barriers are exact and the order is always the same.
// Blocks never overlap; what depends on the order of blocks is not seen here.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

struct ShimIndex {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
static ShimIndex blockIdx, threadIdx;
static dim3 blockDim, gridDim;

#define __global__
#define __device__ static inline
#define __forceinline__ inline
#define __restrict__ __restrict
#define __shared__ static
#define __launch_bounds__(...)

using std::max;
using std::min;

static inline int __float2int_rn(float value) { return static_cast<int>(std::nearbyintf(value)); }
static inline int __float2int_rd(float value) { return static_cast<int>(std::floor(value)); }
static inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T> static inline T atomicAdd(T* place, T value) {
    T before = *place;
    *place = before + value;
    return before;
}
template <class T> static inline T atomicMin(T* place, T value) {
    T before = *place;
    *place = std::min(before, value);
    return before;
}

namespace shim {

struct Fibre {
    void* stack_pointer;
    char* stack;
    bool done;
};
constexpr std::size_t stack_bytes = 64 << 10;
static std::vector<Fibre> fibres;
static unsigned current;
static void* main_stack_pointer;
static void (*body)(void*);
static void* body_argument;

// Saves the registers that a call must keep, takes another stack, and goes on where that one left.
extern "C" void shim_switch(void** save, void* load);
#if !defined(__x86_64__)
#error "The fibres of this shim switch stacks on x86-64 only; run these tests on such a machine."
#endif
asm(R"(
.text
.globl shim_switch
.hidden shim_switch
.type shim_switch,@function
shim_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi); movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size shim_switch,.-shim_switch
)");

static void yield() {
    ShimIndex mine = threadIdx;
    shim_switch(&fibres[current].stack_pointer, main_stack_pointer);
    threadIdx = mine;
}

static void entry() {
    body(body_argument);
    fibres[current].done = true;
    for (;;) shim_switch(&fibres[current].stack_pointer, main_stack_pointer);
}

static void prepare(Fibre& fibre) {
    void** top = reinterpret_cast<void**>(fibre.stack + stack_bytes - 64);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    fibre.stack_pointer = top - 6;
    fibre.done = false;
}

template <class F> static void run_block_with_barriers(F& f) {
    unsigned count = blockDim.x * blockDim.y * blockDim.z;
    while (fibres.size() < count)
        fibres.push_back({nullptr, static_cast<char*>(std::aligned_alloc(64, stack_bytes)), true});
    body = [](void* given) { (*static_cast<F*>(given))(); };
    body_argument = &f;
    for (unsigned t = 0; t < count; t++) prepare(fibres[t]);
    for (unsigned left = count; left;)
        for (unsigned t = 0; t < count; t++) {
            if (fibres[t].done) continue;
            threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
            current = t;
            shim_switch(&main_stack_pointer, fibres[t].stack_pointer);
            if (fibres[t].done) left--;
        }
}

template <class F> static void launch(dim3 grid, dim3 block, bool has_barriers, F f) {
    gridDim = grid;
    blockDim = block;
    for (unsigned bz = 0; bz < grid.z; bz++)
        for (unsigned by = 0; by < grid.y; by++)
            for (unsigned bx = 0; bx < grid.x; bx++) {
                blockIdx = {bx, by, bz};
                if (has_barriers) {
                    run_block_with_barriers(f);
                    continue;
                }
                for (unsigned z = 0; z < block.z; z++)
                    for (unsigned y = 0; y < block.y; y++)
                        for (unsigned x = 0; x < block.x; x++) {
                            threadIdx = {x, y, z};
                            f();
                        }
            }
}

}  // namespace shim

#define __syncthreads() shim::yield()
