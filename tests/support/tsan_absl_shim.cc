// Makes ThreadSanitizer usable with Debian's uninstrumented Abseil and gRPC; linked into every executable of a TSan
// build and into nothing else (top CMakeLists.txt).
//
// ThreadSanitizer cannot see what absl::Mutex and absl::CondVar order, neither in gRPC's calls nor in ours, and would
// report about 470 races that are none.  The program's own definitions of their methods, below, are found before the
// library's, also by libgrpc, whose calls go through the PLT.  Each calls the library's and tells ThreadSanitizer of
// the acquire or the release.  The same is done for gRPC's completion queues (whoever starts an operation with a tag
// comes before whoever is given that tag back) and for a request's interceptors (whoever builds the request comes
// before whoever runs them).
//
// The symbols are those of absl::debian3 (libabsl 20220623); with another version the program stops at its first lock
// with the name that was not found.  Suppressing reports by library instead would hide real races in callbacks.
#include <dlfcn.h>
#include <grpc/grpc.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);

// What is read when TSAN_OPTIONS does not say otherwise.  Uninstrumented libraries only intercept (memcpy, read ...):
// what they do among themselves is not ours to judge.
const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66"; }
}

#define DMCACHED_UNSEEN __attribute__((visibility("default"), no_sanitize("thread")))
#define DMCACHED_SYMBOL(symbol) __asm__(symbol) DMCACHED_UNSEEN

namespace {

// absl::Duration and absl::Time: 12 bytes of value, passed in two registers.
struct AbslTime {
  int64_t seconds;
  uint32_t ticks;
};

// Returns the library's definition behind ours.
template <class Function>
Function Real(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) {
    std::fprintf(stderr, "tsan_absl_shim: no %s: another version of libabsl or libgrpc?\n", name);
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): `fn` is declared here, parentheses would not compile.

// Mutex::Lock and the like: void(Mutex*).
#define DMCACHED_ACQUIRE(fn, symbol)                        \
  extern "C" void fn(void* mutex) DMCACHED_SYMBOL(symbol);  \
  void fn(void* mutex) {                                    \
    static const auto real = Real<void (*)(void*)>(symbol); \
    real(mutex);                                            \
    __tsan_acquire(mutex);                                  \
  }
#define DMCACHED_RELEASE(fn, symbol)                        \
  extern "C" void fn(void* mutex) DMCACHED_SYMBOL(symbol);  \
  void fn(void* mutex) {                                    \
    static const auto real = Real<void (*)(void*)>(symbol); \
    __tsan_release(mutex);                                  \
    real(mutex);                                            \
  }
#define DMCACHED_TRY_ACQUIRE(fn, symbol)                    \
  extern "C" bool fn(void* mutex) DMCACHED_SYMBOL(symbol);  \
  bool fn(void* mutex) {                                    \
    static const auto real = Real<bool (*)(void*)>(symbol); \
    const bool locked = real(mutex);                        \
    if (locked) __tsan_acquire(mutex);                      \
    return locked;                                          \
  }

// Mutex::Await, Mutex::LockWhen: void(Mutex*, const Condition*), and their forms with a time.
#define DMCACHED_AWAIT(fn, symbol)                                                \
  extern "C" void fn(void* mutex, const void* condition) DMCACHED_SYMBOL(symbol); \
  void fn(void* mutex, const void* condition) {                                   \
    static const auto real = Real<void (*)(void*, const void*)>(symbol);          \
    __tsan_release(mutex);                                                        \
    real(mutex, condition);                                                       \
    __tsan_acquire(mutex);                                                        \
  }
#define DMCACHED_AWAIT_TIMED(fn, symbol)                                                         \
  extern "C" bool fn(void* mutex, const void* condition, AbslTime time) DMCACHED_SYMBOL(symbol); \
  bool fn(void* mutex, const void* condition, AbslTime time) {                                   \
    static const auto real = Real<bool (*)(void*, const void*, AbslTime)>(symbol);               \
    __tsan_release(mutex);                                                                       \
    const bool held = real(mutex, condition, time);                                              \
    __tsan_acquire(mutex);                                                                       \
    return held;                                                                                 \
  }

// CondVar::WaitWithTimeout, WaitWithDeadline: bool(CondVar*, Mutex*, time).
#define DMCACHED_WAIT_TIMED(fn, symbol)                                                    \
  extern "C" bool fn(void* condition, void* mutex, AbslTime time) DMCACHED_SYMBOL(symbol); \
  bool fn(void* condition, void* mutex, AbslTime time) {                                   \
    static const auto real = Real<bool (*)(void*, void*, AbslTime)>(symbol);               \
    __tsan_release(mutex);                                                                 \
    const bool timed_out = real(condition, mutex, time);                                   \
    __tsan_acquire(mutex);                                                                 \
    return timed_out;                                                                      \
  }

DMCACHED_ACQUIRE(shim_lock, "_ZN4absl7debian35Mutex4LockEv")
DMCACHED_ACQUIRE(shim_reader_lock, "_ZN4absl7debian35Mutex10ReaderLockEv")
DMCACHED_RELEASE(shim_unlock, "_ZN4absl7debian35Mutex6UnlockEv")
DMCACHED_RELEASE(shim_reader_unlock, "_ZN4absl7debian35Mutex12ReaderUnlockEv")
DMCACHED_TRY_ACQUIRE(shim_try_lock, "_ZN4absl7debian35Mutex7TryLockEv")
DMCACHED_TRY_ACQUIRE(shim_reader_try_lock, "_ZN4absl7debian35Mutex13ReaderTryLockEv")
DMCACHED_AWAIT(shim_await, "_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE")
DMCACHED_AWAIT(shim_lock_when, "_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE")
DMCACHED_AWAIT(shim_reader_lock_when, "_ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE")
DMCACHED_AWAIT_TIMED(shim_await_timeout, "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE")
DMCACHED_AWAIT_TIMED(shim_await_deadline, "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE")
DMCACHED_AWAIT_TIMED(shim_lock_timeout, "_ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE")
DMCACHED_AWAIT_TIMED(shim_lock_deadline, "_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE")
DMCACHED_WAIT_TIMED(shim_wait_timeout, "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE")
DMCACHED_WAIT_TIMED(shim_wait_deadline, "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE")

// NOLINTEND(bugprone-macro-parentheses)

// CondVar::Wait(Mutex*).
extern "C" void shim_wait(void* condition, void* mutex) DMCACHED_SYMBOL("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
void shim_wait(void* condition, void* mutex) {
  static const auto real = Real<void (*)(void*, void*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  real(condition, mutex);
  __tsan_acquire(mutex);
}

// The callback API of gRPC 1.51 on Linux runs on completion queues too, in threads named nexting_thread.
extern "C" DMCACHED_UNSEEN grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t count,
                                                                 void* tag, void* reserved) {
  using Function = grpc_call_error (*)(grpc_call*, const grpc_op*, size_t, void*, void*);
  static const auto real = Real<Function>("grpc_call_start_batch");
  __tsan_release(tag);
  return real(call, ops, count, tag, reserved);
}

extern "C" DMCACHED_UNSEEN grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                                                 void* reserved) {
  using Function = grpc_event (*)(grpc_completion_queue*, gpr_timespec, void*);
  static const auto real = Real<Function>("grpc_completion_queue_next");
  const grpc_event event = real(queue, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

extern "C" DMCACHED_UNSEEN grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                                                  gpr_timespec deadline, void* reserved) {
  using Function = grpc_event (*)(grpc_completion_queue*, void*, gpr_timespec, void*);
  static const auto real = Real<Function>("grpc_completion_queue_pluck");
  const grpc_event event = real(queue, tag, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

// A server's request is built in one of libgrpc's threads and served in another.  Of all that libgrpc++ writes then,
// only this inline constructor would be ours and instrumented.
extern "C" void shim_construct_c1(void* methods) DMCACHED_SYMBOL("_ZN4grpc8internal27InterceptorBatchMethodsImplC1Ev");
void shim_construct_c1(void* methods) {
  static const auto real = Real<void (*)(void*)>("_ZN4grpc8internal27InterceptorBatchMethodsImplC1Ev");
  real(methods);
  __tsan_release(methods);
}

extern "C" void shim_construct_c2(void* methods) DMCACHED_SYMBOL("_ZN4grpc8internal27InterceptorBatchMethodsImplC2Ev");
void shim_construct_c2(void* methods) { shim_construct_c1(methods); }

// RunInterceptors(std::function<void()>): the argument is passed by address.
extern "C" bool shim_run_interceptors(void* methods, void* done)
    DMCACHED_SYMBOL("_ZN4grpc8internal27InterceptorBatchMethodsImpl15RunInterceptorsESt8functionIFvvEE");
bool shim_run_interceptors(void* methods, void* done) {
  static const auto real =
      Real<bool (*)(void*, void*)>("_ZN4grpc8internal27InterceptorBatchMethodsImpl15RunInterceptorsESt8functionIFvvEE");
  __tsan_acquire(methods);
  return real(methods, done);
}

// grpc::internal::ServerCallbackCall counts its users down, in our threads and in the library's; the last one calls
// these.  The counters lie behind the pointer to the virtual functions.
struct CallbackCall {
  void* functions;
  int on_cancel_conditions_remaining;
  int callbacks_outstanding;
};

// ScheduleOnDone(bool).
extern "C" void shim_schedule_on_done(CallbackCall* call, bool in_this_thread)
    DMCACHED_SYMBOL("_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");
void shim_schedule_on_done(CallbackCall* call, bool in_this_thread) {
  static const auto real =
      Real<void (*)(CallbackCall*, bool)>("_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");
  __tsan_acquire(&call->callbacks_outstanding);
  real(call, in_this_thread);
}

// CallOnCancel(ServerReactor*).
extern "C" void shim_call_on_cancel(CallbackCall* call, void* reactor)
    DMCACHED_SYMBOL("_ZN4grpc8internal18ServerCallbackCall12CallOnCancelEPNS0_13ServerReactorE");
void shim_call_on_cancel(CallbackCall* call, void* reactor) {
  static const auto real =
      Real<void (*)(CallbackCall*, void*)>("_ZN4grpc8internal18ServerCallbackCall12CallOnCancelEPNS0_13ServerReactorE");
  __tsan_acquire(&call->on_cancel_conditions_remaining);
  real(call, reactor);
}
