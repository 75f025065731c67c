// RocksDB with its defaults, every batch with sync.
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>

#include "tests/bench/mark_store.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

void Check(const rocksdb::Status& status) {
  if (!status.ok()) GiveUp("RocksDB: " + status.ToString());
}

class RocksDbStore : public MarkStore {
 public:
  RocksDbStore(const std::string& folder, uint32_t cblocks) : cblocks_(cblocks) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* opened = nullptr;
    Check(rocksdb::DB::Open(options, folder, &opened));
    database_.reset(opened);
    synchronous_.sync = true;
    ClearAll();
  }

  void MarkDurably(std::span<const uint32_t> cblocks) override {
    for (const uint32_t cblock : cblocks) Put(cblock, true);
    Write();
  }
  void ClearAll() override {
    constexpr uint32_t kBatch = 65536;
    for (uint32_t begin = 0; begin < cblocks_; begin += kBatch) {
      for (uint32_t cblock = begin; cblock < std::min(begin + kBatch, cblocks_); ++cblock) Put(cblock, false);
      Write();
    }
  }

 private:
  void Put(uint32_t cblock, bool dirty) {
    const std::array<char, 4> key = {static_cast<char>(cblock >> 24), static_cast<char>(cblock >> 16),
                                     static_cast<char>(cblock >> 8), static_cast<char>(cblock)};
    const uint64_t word = MappingValue(cblock, dirty);
    Check(batch_.Put(rocksdb::Slice(key.data(), key.size()),
                     rocksdb::Slice(reinterpret_cast<const char*>(&word), sizeof(word))));
  }
  void Write() {
    Check(database_->Write(synchronous_, &batch_));
    batch_.Clear();
  }

  const uint32_t cblocks_;
  std::unique_ptr<rocksdb::DB> database_;
  rocksdb::WriteOptions synchronous_;
  rocksdb::WriteBatch batch_;
};

}  // namespace

std::unique_ptr<MarkStore> NewRocksDbStore(const std::string& folder, uint32_t cblocks) {
  return std::make_unique<RocksDbStore>(folder, cblocks);
}

}  // namespace dmcached::bench
