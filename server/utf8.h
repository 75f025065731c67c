// Characters of text that came from elsewhere.
#ifndef DMCACHED_SERVER_UTF8_H_
#define DMCACHED_SERVER_UTF8_H_

#include <cstddef>
#include <string_view>

namespace dmcached {

// Bytes of the UTF-8 character at the front of `text`, which is not empty; 0: none begins there.  Overlong forms and
// surrogates are none.  Thread-safe.
size_t CharacterBytes(std::string_view text);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_UTF8_H_
