// Spreads work over an executor that others use too, without ever waiting for a task that has not begun.
#ifndef DMCACHED_CORE_BASE_PARALLEL_H_
#define DMCACHED_CORE_BASE_PARALLEL_H_

#include <cstddef>
#include <functional>

#include "core/base/executor.h"

namespace dmcached {

// Calls `work(0)` to `work(count - 1)`, each once, here and in tasks of `executor` (null: all here); returns when all
// are done.  The caller may itself run on that executor: what nobody else has begun, it does.
void RunParallel(Executor* executor, size_t count, const std::function<void(size_t)>& work);

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_PARALLEL_H_
