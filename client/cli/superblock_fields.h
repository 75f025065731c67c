// A superblock for people.
#ifndef DMCACHED_CLIENT_CLI_SUPERBLOCK_FIELDS_H_
#define DMCACHED_CLIENT_CLI_SUPERBLOCK_FIELDS_H_

#include <string>
#include <utility>
#include <vector>

#include "dmcached/types.h"

namespace dmcached::cli {

using Fields = std::vector<std::pair<std::string, std::string>>;

// Appends what a superblock says to `fields` (table.h prints them).
void AppendSuperblock(const client::Superblock& superblock, Fields& fields);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_SUPERBLOCK_FIELDS_H_
