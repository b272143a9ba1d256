// A function that can pause in the middle and be resumed later: one thread of the emulator in simt.hpp.
//
//     Fibre fibre;
//     fibre.start([&] { first(); fibre.pause(); second(); });
//     fibre.resume();   // first()
//     fibre.resume();   // second()
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace routesig::testing {

#ifdef __x86_64__
// Saves the registers that a call preserves on the current stack, its pointer in `*from`, and goes on where the stack
// `to` was left. (ucontext's swap costs a system call each time, and a kernel pauses millions of times.)
[[gnu::naked, gnu::noinline]] inline void switch_stacks([[maybe_unused]] void** from, [[maybe_unused]] void* to) {
  asm("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
      "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
      "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n"
      "ret");
}
#endif

class Fibre {
 public:
  Fibre() = default;
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  /// Prepares to run `body` from its beginning; whatever ran before is abandoned, its stack not unwound.
  void start(std::function<void()> body) {
    body_ = std::move(body);
    failure_ = nullptr;
    done_ = false;
    if (!stack_) stack_ = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(stack_.get(), kStackBytes);
#endif
#ifdef __x86_64__
    const auto top = reinterpret_cast<std::uintptr_t>(stack_.get() + kStackBytes) & ~std::uintptr_t{63};
    auto* frame = reinterpret_cast<std::uintptr_t*>(top) - 8;  // six registers, the address to return to, its caller's
    for (int i = 0; i < 8; ++i) frame[i] = 0;
    frame[6] = reinterpret_cast<std::uintptr_t>(&Fibre::enter);
    inside_ = frame;
#else
    getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_.get();
    inside_.uc_stack.ss_size = kStackBytes;
    inside_.uc_link = nullptr;
    makecontext(&inside_, &Fibre::enter, 0);
#endif
  }

  /// Runs until the body pauses or ends; throws what the body threw.
  void resume() {
    entering_ = this;
    cross(outside_, inside_, outside_shadow_, stack_.get(), kStackBytes);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  /// Called by the body: back to whoever resumed it.
  void pause() { cross(inside_, outside_, inside_shadow_, outside_stack_, outside_bytes_); }

  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  static constexpr std::size_t kStackBytes = 256 * 1024;
#ifdef __x86_64__
  using Context = void*;
#else
  using Context = ucontext_t;
#endif

  static void enter() {
    Fibre& fibre = *entering_;
    fibre.arrived(nullptr);
    try {
      fibre.body_();
    } catch (...) {
      fibre.failure_ = std::current_exception();
    }
    fibre.done_ = true;
    fibre.pause();
  }

  // Leaves for the stack [bottom, bottom + bytes) and, later, comes back; AddressSanitizer wants to know both.
  void cross(Context& from, Context& to, [[maybe_unused]] void*& shadow, [[maybe_unused]] const void* bottom,
             [[maybe_unused]] std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&shadow, bottom, bytes);
#endif
#ifdef __x86_64__
    switch_stacks(&from, to);
#else
    swapcontext(&from, &to);
#endif
    if (&from == &inside_) arrived(shadow);
#ifdef __SANITIZE_ADDRESS__
    if (&from == &outside_) __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
#endif
  }

  // Inside: the fibre's stack is entered, for the first time or again.
  void arrived([[maybe_unused]] void* shadow) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(shadow, &outside_stack_, &outside_bytes_);
#endif
  }

  static inline Fibre* entering_ = nullptr;
  std::unique_ptr<std::byte[]> stack_;
  std::function<void()> body_;
  std::exception_ptr failure_;
  bool done_ = true;
  Context inside_{}, outside_{};
  void* inside_shadow_ = nullptr;
  void* outside_shadow_ = nullptr;
  const void* outside_stack_ = nullptr;
  std::size_t outside_bytes_ = 0;
};

}  // namespace routesig::testing
