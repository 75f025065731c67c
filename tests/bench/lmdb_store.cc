// LMDB with its defaults: every commit is synchronous.
#include <lmdb.h>

#include <filesystem>

#include "tests/bench/mark_store.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

void Check(int error, const char* what) {
  if (error != 0) GiveUp(std::string("LMDB: ") + what + ": " + mdb_strerror(error));
}

class LmdbStore : public MarkStore {
 public:
  LmdbStore(const std::string& folder, uint32_t cblocks) : cblocks_(cblocks) {
    std::filesystem::create_directory(folder);
    Check(mdb_env_create(&environment_), "create");
    Check(mdb_env_set_mapsize(environment_, (uint64_t{256} << 20) + uint64_t{cblocks} * 128), "size");
    Check(mdb_env_open(environment_, folder.c_str(), 0, 0600), "open");
    ClearAll();
  }
  ~LmdbStore() override { mdb_env_close(environment_); }

  void MarkDurably(std::span<const uint32_t> cblocks) override {
    Begin();
    for (const uint32_t cblock : cblocks) Put(cblock, true);
    Commit();
  }
  void ClearAll() override {
    Begin();
    for (uint32_t cblock = 0; cblock < cblocks_; ++cblock) Put(cblock, false);
    Commit();
  }

 private:
  void Begin() {
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction_), "begin");
    if (!opened_) Check(mdb_dbi_open(transaction_, nullptr, MDB_INTEGERKEY | MDB_CREATE, &table_), "open the table");
    opened_ = true;
  }
  void Put(uint32_t cblock, bool dirty) {
    uint64_t word = MappingValue(cblock, dirty);
    MDB_val key = {sizeof(cblock), &cblock};
    MDB_val value = {sizeof(word), &word};
    Check(mdb_put(transaction_, table_, &key, &value, 0), "put");
  }
  void Commit() { Check(mdb_txn_commit(transaction_), "commit"); }

  const uint32_t cblocks_;
  MDB_env* environment_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_dbi table_ = 0;
  bool opened_ = false;
};

}  // namespace

std::unique_ptr<MarkStore> NewLmdbStore(const std::string& folder, uint32_t cblocks) {
  return std::make_unique<LmdbStore>(folder, cblocks);
}

}  // namespace dmcached::bench
