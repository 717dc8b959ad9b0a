// Runs CUDA C++ on the host, unmodified, for tests.
//
// The threads of a grid run one after another, blocks scattered and their threads backwards, so that
// a kernel that counts on the usual order fails. Where a kernel has barriers, each thread of a block is
// a fibre that hands over at the barrier, so barriers are exact and every run is the same.
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

static ShimIndex index_of(unsigned thread) {
    return {thread % blockDim.x, thread / blockDim.x % blockDim.y,
            thread / (blockDim.x * blockDim.y)};
}

template <class F> static void run_block_with_barriers(F& f) {
    unsigned count = blockDim.x * blockDim.y * blockDim.z;
    while (fibres.size() < count)
        fibres.push_back({nullptr, static_cast<char*>(std::aligned_alloc(64, stack_bytes)), true});
    body = [](void* given) { (*static_cast<F*>(given))(); };
    body_argument = &f;
    for (unsigned t = 0; t < count; t++) prepare(fibres[t]);
    for (unsigned left = count; left;)
        for (unsigned t = count; t-- > 0;) {
            if (fibres[t].done) continue;
            threadIdx = index_of(t);
            current = t;
            shim_switch(&main_stack_pointer, fibres[t].stack_pointer);
            if (fibres[t].done) left--;
        }
}

template <class F> static void launch(dim3 grid, dim3 block, bool has_barriers, F f) {
    gridDim = grid;
    blockDim = block;
    // A prime step meets every block once, unless it divides their number.
    unsigned long long count = 1ull * grid.x * grid.y * grid.z, step = 7919;
    if (count % step == 0) step = 1;
    for (unsigned long long n = 0; n < count; n++) {
        unsigned long long b = (n * step + count / 2) % count;
        blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                    static_cast<unsigned>(b / grid.x / grid.y)};
        if (has_barriers) {
            run_block_with_barriers(f);
            continue;
        }
        for (unsigned t = block.x * block.y * block.z; t-- > 0;) {
            threadIdx = index_of(t);
            f();
        }
    }
}

}  // namespace shim

#define __syncthreads() shim::yield()
