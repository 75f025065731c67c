// Waiting for another thread without giving up the processor.
#ifndef DMCACHED_CORE_BASE_PAUSE_H_
#define DMCACHED_CORE_BASE_PAUSE_H_

namespace dmcached {

// Tells the processor that this is a loop that waits for another thread: some 10 to 50 ns.
inline void PauseProcessor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_PAUSE_H_
