// Writes inputs for the request fuzzer to begin with: one valid call per method, a file each.
//
//   request_seeds FOLDER
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/methods.h"

namespace dmcached {
namespace {

struct Seed {
  const char* method;
  std::vector<const char*> messages;  // In text format.
};

// The fuzzer's caches are "a" and "b" of 2000 cache blocks; "/m2" and "/m3" are unused devices.
const std::vector<Seed>& Seeds() {
  static const std::vector<Seed> seeds = {
      {"GetServerInfo", {""}},
      {"ProbeCache", {R"(metadata_path: "/m2")"}},
      {"PlanCache", {"origin_size_sectors: 640000 fast_size_sectors: 64000 data_block_size_sectors: 64"}},
      {"CreateCache",
       {R"(name: "c" metadata_path: "/m2" data_block_size_sectors: 128 cache_blocks: 1100 origin_size_sectors: 1280000
           metadata_version: 1 policy_name: "smq" identity: "node-1" dirty_tracking: DIRTY_TRACKING_EXACT force: true)"}},
      {"OpenCache", {R"(name: "c" metadata_path: "/m2" read_only: true dirty_tracking: DIRTY_TRACKING_CONSERVATIVE
           expected_block_size_sectors: 128 origin_size_sectors: 1280000)"}},
      {"CloseCache", {R"(name: "c" require_no_dirty: true)"}},
      {"GetCache", {R"(name: "a")"}},
      {"ListCaches", {"page_size: 1"}},
      {"ResizeCache", {R"(name: "b" cache_blocks: 2600 origin_size_sectors: 768000 options { request_id: "r1" })"}},
      {"DeleteCache", {R"(name: "c" wipe: true discard_dirty: true)"}},
      {"ReserveCblocks", {R"(cache: "a" count: 10 ttl_ms: 5000)"}},
      {"ReleaseCblocks", {R"(cache: "a" reservation: 1)"}},
      {"InsertMappings",
       {R"(cache: "a" cblocks: [0, 1, 600] oblocks: [7, 8, 9000] dirty: [true, false, true] options { durable: true })"}},
      {"RemoveMappings", {R"(cache: "a" oblock_range { begin: 5 end: 9000 } discard_dirty: true)"}},
      {"MarkDirty", {R"(cache: "a" cblocks: [1, 600] options { request_id: "r2" expected_revision: 1 })"}},
      {"ClearDirty", {R"(cache: "a" cblocks: [0, 600] oblocks: [7, 9000])"}},
      {"LookupMappings", {R"(cache: "a" oblocks: [7, 8, 9] durable: true)"}},
      {"ListMappings",
       {R"(cache: "a" dirty_only: true cblock_range { begin: 0 end: 1000 } oblock_range { begin: 1 end: 9500 }
           policy_name: "smq" policy_version { major: 1 minor: 2 patch: 3 })"}},
      {"SetDiscards", {R"(cache: "b" ranges { begin: 3 end: 90 } ranges { begin: 200 end: 201 } discard_dirty: true)"}},
      {"ClearDiscards", {R"(cache: "b" ranges { begin: 5 end: 8 })"}},
      {"ListDiscards", {R"(cache: "b")"}},
      {"BeginHints",
       {R"(cache: "a" policy_name: "smq" policy_version { major: 1 minor: 2 patch: 3 } hint_size_bytes: 4)"}},
      {"SaveHints", {R"(cache: "a" cblocks: [0, 1] hints: [4000000000, 5])"}},
      {"ListHints", {R"(cache: "a" policy_name: "smq" policy_version { major: 1 })"}},
      {"GetStats", {R"(cache: "a")"}},
      {"SetStats", {R"(cache: "a" stats { read_hits: 1 read_misses: 2 write_hits: 3 write_misses: 4 })"}},
      {"Commit", {R"(cache: "b" clean_shutdown: true)"}},
      {"Mutate",
       {R"(cache: "a" stop_on_error: true batch: 1 insert_mappings { cblocks: 20 oblocks: 21 dirty: true })",
        "batch: 2 mark_dirty { cblocks: 20 }", "batch: 3 clear_dirty { cblocks: 20 oblocks: 21 }",
        "batch: 4 set_discards { ranges { begin: 100 end: 110 } }",
        "batch: 5 remove_mappings { cblocks: 20 oblocks: 21 }"}},
      {"Check", {R"(cache: "a" clear_needs_check: true)"}},
  };
  return seeds;
}

std::string Encoded(const google::protobuf::MethodDescriptor& method, const std::string& text) {
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> message(factory.GetPrototype(method.input_type())->New());
  DMCACHED_CHECK(google::protobuf::TextFormat::ParseFromString(text, message.get()));
  return message->SerializeAsString();
}

// What FuzzedDataProvider takes apart again: strings from the front, ended by a backslash before anything but another
// one; numbers from the back.
std::string Input(uint8_t method, const std::vector<std::string>& messages) {
  std::string front;
  for (const std::string& message : messages) {
    for (const char byte : message) {
      front += byte;
      if (byte == '\\') front += byte;
    }
    front += "\\.";
  }
  // As many messages, whether the method takes one or a stream of them; never cancelled.
  const auto shape = static_cast<char>(0xF0 + (messages.size() == 1 ? 9 : messages.size()));
  return front + shape + static_cast<char>(method);
}

void WriteSeeds(const std::string& folder) {
  const auto methods = Methods();
  for (size_t i = 0; i < methods.size(); ++i) {
    const auto seed = std::find_if(Seeds().begin(), Seeds().end(),
                                   [&](const Seed& candidate) { return candidate.method == methods[i]->name(); });
    DMCACHED_CHECK(seed != Seeds().end());
    std::vector<std::string> messages;
    for (const char* text : seed->messages) messages.push_back(Encoded(*methods[i], text));
    std::ofstream file(folder + "/" + seed->method, std::ios::binary);
    file << Input(static_cast<uint8_t>(i), messages);
    DMCACHED_CHECK(file.flush().good());
  }
}

}  // namespace
}  // namespace dmcached

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  dmcached::WriteSeeds(argv[1]);
}
