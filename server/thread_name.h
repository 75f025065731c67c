// Names for threads, as `top -H` and debuggers show them.
#ifndef DMCACHED_SERVER_THREAD_NAME_H_
#define DMCACHED_SERVER_THREAD_NAME_H_

#include <pthread.h>

#include <string>
#include <thread>

namespace dmcached {

inline void NameThread(std::thread& thread, const std::string& name) {
  constexpr size_t kMax = 15;  // What the kernel keeps, without its NUL.
  pthread_setname_np(thread.native_handle(), name.substr(0, kMax).c_str());
}

}  // namespace dmcached

#endif  // DMCACHED_SERVER_THREAD_NAME_H_
