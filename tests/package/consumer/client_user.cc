// Creates a cache, maps a block and looks it up: client_user ADDRESS METADATA.
#include <cstdint>
#include <iostream>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dmcached/client.h"

namespace {

using namespace dmcached::client;

absl::StatusOr<uint32_t> MapAndLookUp(Client& client, const std::string& metadata_path, uint64_t oblock) {
  CreateRequest create;
  create.name = "consumer";
  create.metadata_path = metadata_path;
  create.data_block_size_sectors = 128;
  create.cache_blocks = 64;
  create.origin_size_sectors = uint64_t{128} * 1000;
  const absl::StatusOr<Cache> cache = client.CreateCache(create);
  if (!cache.ok()) return cache.status();

  const uint32_t cblocks[] = {7};
  const uint64_t oblocks[] = {oblock};
  const auto inserted = client.Apply("consumer", InsertBatch{.cblocks = cblocks, .oblocks = oblocks});
  if (!inserted.ok()) return inserted.status();

  const absl::StatusOr<LookupResult> found = client.LookupOblocks("consumer", oblocks);
  if (!found.ok()) return found.status();
  if (!found->mappings.at(0)) return absl::NotFoundError("the mapping that was inserted");
  return found->mappings[0]->cblock;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  ClientOptions options;
  options.address = argv[1];
  Client client(options);
  const absl::StatusOr<uint32_t> cblock = MapAndLookUp(client, argv[2], 500);
  if (!cblock.ok()) {
    std::cerr << cblock.status() << "\n";
    return 1;
  }
  std::cout << "oblock 500 is at cblock " << *cblock << "\n";
  return 0;
}
