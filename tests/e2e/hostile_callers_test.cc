// Requests that no honest caller sends: each is refused for its reason, alone and as a batch of a stream, and nothing
// happens.  And the largest that are allowed.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

constexpr uint32_t kLimit = 65536;
constexpr uint32_t kHuge32 = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kHuge64 = std::numeric_limits<uint64_t>::max();

struct Hostile {
  std::string name;
  v1::MutateRequest batch;
  Reason reason;
};

template <typename T>
std::vector<T> Count(uint32_t count) {
  std::vector<T> column(count);
  std::iota(column.begin(), column.end(), T{0});
  return column;
}

class HostileCallersTest : public DaemonTest {
 protected:
  HostileCallersTest() {
    config_.commit_interval_ms = 3600000;
    Start();
    NewMetadata("metadata", 16 << 20);
    v1::CreateCacheRequest create = CreateRequest();
    create.set_cache_blocks(kBlocks);
    create.set_origin_size_sectors(uint64_t{kBlocks} * kBlockSectors);
    create.set_policy_name("smq");
    Create(create);
    incarnation_ = Get().incarnation();
    dblocks_ = Get().superblock().discard_blocks();
  }

  // Columns of any of the requests that have them.
  template <typename Request>
  static void Fill(Request* request, const std::vector<uint32_t>& cblocks, const std::vector<uint64_t>& oblocks) {
    request->mutable_cblocks()->Add(cblocks.begin(), cblocks.end());
    if constexpr (requires { request->mutable_oblocks(); }) {
      request->mutable_oblocks()->Add(oblocks.begin(), oblocks.end());
    }
  }
  template <typename Request>
  Request* Prepared(Request* request) {
    request->set_cache(kCache);
    request->mutable_options()->set_request_id("hostile-" + std::to_string(next_id_++));
    request->mutable_options()->set_incarnation(incarnation_);
    return request;
  }
  v1::MutateRequest Inserting(const std::vector<uint32_t>& cblocks, const std::vector<uint64_t>& oblocks) {
    v1::MutateRequest batch;
    Fill(Prepared(batch.mutable_insert_mappings()), cblocks, oblocks);
    return batch;
  }
  v1::MutateRequest Removing(const std::vector<uint32_t>& cblocks, const std::vector<uint64_t>& oblocks) {
    v1::MutateRequest batch;
    Fill(Prepared(batch.mutable_remove_mappings()), cblocks, oblocks);
    return batch;
  }
  v1::MutateRequest RemovingRange(uint64_t begin, uint64_t end) {
    v1::MutateRequest batch = Removing({}, {});
    batch.mutable_remove_mappings()->mutable_oblock_range()->set_begin(begin);
    batch.mutable_remove_mappings()->mutable_oblock_range()->set_end(end);
    return batch;
  }
  v1::MutateRequest Marking(const std::vector<uint32_t>& cblocks) {
    v1::MutateRequest batch;
    Fill(Prepared(batch.mutable_mark_dirty()), cblocks, {});
    return batch;
  }
  v1::MutateRequest Clearing(const std::vector<uint32_t>& cblocks, const std::vector<uint64_t>& oblocks) {
    v1::MutateRequest batch;
    Fill(Prepared(batch.mutable_clear_dirty()), cblocks, oblocks);
    return batch;
  }
  v1::MutateRequest Saving(const std::vector<uint32_t>& cblocks, const std::vector<uint32_t>& hints) {
    v1::MutateRequest batch;
    Fill(Prepared(batch.mutable_save_hints()), cblocks, {});
    batch.mutable_save_hints()->mutable_hints()->Add(hints.begin(), hints.end());
    return batch;
  }
  v1::MutateRequest Discarding(uint64_t begin, uint64_t end, uint32_t count = 1) {
    v1::MutateRequest batch;
    Prepared(batch.mutable_set_discards());
    AddRanges(batch.mutable_set_discards(), begin, end, count);
    return batch;
  }
  v1::MutateRequest Undiscarding(uint64_t begin, uint64_t end, uint32_t count = 1) {
    v1::MutateRequest batch;
    Prepared(batch.mutable_clear_discards());
    AddRanges(batch.mutable_clear_discards(), begin, end, count);
    return batch;
  }
  template <typename Request>
  static void AddRanges(Request* request, uint64_t begin, uint64_t end, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      v1::BlockRange* range = request->add_ranges();
      range->set_begin(begin);
      range->set_end(end);
    }
  }
  v1::MutateRequest Beginning(const std::string& policy, uint32_t hint_size) {
    v1::MutateRequest batch;
    Prepared(batch.mutable_begin_hints())->set_policy_name(policy);
    batch.mutable_begin_hints()->set_hint_size_bytes(hint_size);
    return batch;
  }

  // The mutation by itself.
  grpc::Status Alone(const v1::MutateRequest& batch) {
    Context context;
    const auto call = [&]<typename Request, typename Response>(grpc::Status (v1::MetadataService::Stub::*rpc)(
                                                                   grpc::ClientContext*, const Request&, Response*),
                                                               const Request& request) {
      Response response;
      return (metadata().*rpc)(&context, request, &response);
    };
    using Stub = v1::MetadataService::Stub;
    switch (batch.mutation_case()) {
      case v1::MutateRequest::kInsertMappings:
        return call(&Stub::InsertMappings, batch.insert_mappings());
      case v1::MutateRequest::kRemoveMappings:
        return call(&Stub::RemoveMappings, batch.remove_mappings());
      case v1::MutateRequest::kMarkDirty:
        return call(&Stub::MarkDirty, batch.mark_dirty());
      case v1::MutateRequest::kClearDirty:
        return call(&Stub::ClearDirty, batch.clear_dirty());
      case v1::MutateRequest::kSetDiscards:
        return call(&Stub::SetDiscards, batch.set_discards());
      case v1::MutateRequest::kClearDiscards:
        return call(&Stub::ClearDiscards, batch.clear_discards());
      case v1::MutateRequest::kBeginHints:
        return call(&Stub::BeginHints, batch.begin_hints());
      case v1::MutateRequest::kSaveHints:
        return call(&Stub::SaveHints, batch.save_hints());
      default:
        return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "test: no such mutation");
    }
  }
  // The same on a stream, between two batches that are fine.
  grpc::Status OnAStream(v1::MutateRequest batch) {
    Context context;
    const auto stream = metadata().Mutate(&context);
    v1::MutateRequest good;
    good.set_cache(kCache);
    good.set_batch(1);
    *good.mutable_mark_dirty() = Marking({}).mark_dirty();
    stream->Write(good);
    batch.set_batch(2);
    stream->Write(batch);
    good.set_batch(3);
    *good.mutable_mark_dirty() = Marking({1}).mark_dirty();  // Dropped, or it would show.
    stream->Write(good);
    stream->WritesDone();
    v1::MutateResponse answer;
    while (stream->Read(&answer)) {
    }
    return stream->Finish();
  }

  std::vector<Hostile> WithColumns();
  std::vector<Hostile> WithRangesAndNames();
  void ExpectNothingHappens(const std::vector<Hostile>& requests);

  static constexpr uint32_t kBlocks = 70000;
  uint64_t incarnation_ = 0;
  uint64_t dblocks_ = 0;
  uint64_t next_id_ = 1;
};

std::vector<Hostile> HostileCallersTest::WithColumns() {
  const auto many = Count<uint32_t>(kLimit + 1);
  const auto many_oblocks = Count<uint64_t>(kLimit + 1);
  std::vector<Hostile> all = {
      {"insert: too few oblocks", Inserting({10, 11}, {10}), Reason::kInvalidRequest},
      {"insert: oblocks only", Inserting({}, {10}), Reason::kInvalidRequest},
      {"insert: a cblock twice", Inserting({10, 11, 10}, {10, 11, 12}), Reason::kInvalidRequest},
      {"insert: an oblock twice", Inserting({10, 11, 12}, {12, 11, 12}), Reason::kInvalidRequest},
      {"insert: a cblock beyond", Inserting({10, kBlocks}, {10, 11}), Reason::kCblockOutOfRange},
      {"insert: a huge cblock", Inserting({10, kHuge32}, {10, 11}), Reason::kCblockOutOfRange},
      {"insert: an oblock beyond", Inserting({10, 11}, {10, kBlocks}), Reason::kOblockOutOfRange},
      {"insert: a huge oblock", Inserting({10, 11}, {10, kHuge64}), Reason::kOblockOutOfRange},
      {"insert: too many", Inserting(many, many_oblocks), Reason::kTooManyItems},
      {"insert: too many oblocks", Inserting({10}, many_oblocks), Reason::kTooManyItems},
      {"remove: too few oblocks", Removing({1, 2}, {1}), Reason::kInvalidRequest},
      {"remove: twice", Removing({1, 1}, {1, 1}), Reason::kInvalidRequest},
      {"remove: a cblock beyond", Removing({1, kBlocks}, {1, 2}), Reason::kCblockOutOfRange},
      {"remove: a huge oblock", Removing({1, 2}, {1, kHuge64}), Reason::kOblockOutOfRange},
      {"remove: too many", Removing(many, many_oblocks), Reason::kTooManyItems},
      {"mark: a cblock beyond", Marking({1, kBlocks}), Reason::kCblockOutOfRange},
      {"mark: a huge cblock", Marking({1, kHuge32}), Reason::kCblockOutOfRange},
      {"mark: too many", Marking(std::vector<uint32_t>(kLimit + 1, 1)), Reason::kTooManyItems},
      {"clear: too few oblocks", Clearing({2, 1}, {2}), Reason::kInvalidRequest},
      {"clear: a huge cblock", Clearing({2, kHuge32}, {2, 1}), Reason::kCblockOutOfRange},
      {"clear: too many", Clearing(many, many_oblocks), Reason::kTooManyItems},
      {"hints: too few", Saving({1, 2}, {5}), Reason::kInvalidRequest},
      {"hints: no cblocks", Saving({}, {5}), Reason::kInvalidRequest},
      {"hints: a cblock beyond", Saving({1, kBlocks}, {5, 6}), Reason::kCblockOutOfRange},
      {"hints: too many", Saving(many, many), Reason::kTooManyItems},
  };
  Hostile flags{"insert: too few dirty flags", Inserting({10, 11}, {10, 11}), Reason::kInvalidRequest};
  flags.batch.mutable_insert_mappings()->add_dirty(true);
  all.push_back(flags);
  Hostile both{"remove: pairs and a range", RemovingRange(1, 2), Reason::kInvalidRequest};
  Fill(both.batch.mutable_remove_mappings(), {1}, {1});
  all.push_back(both);
  return all;
}

std::vector<Hostile> HostileCallersTest::WithRangesAndNames() {
  std::vector<Hostile> all = {
      {"remove: a range turned round", RemovingRange(2, 1), Reason::kInvalidRequest},
      {"remove: everything, dirty or not", RemovingRange(0, kHuge64), Reason::kMappingDirty},
      {"discards: turned round", Discarding(2, 1), Reason::kInvalidRequest},
      {"discards: beyond", Discarding(1, dblocks_ + 1), Reason::kDblockOutOfRange},
      {"discards: huge", Discarding(kHuge64 - 1, kHuge64), Reason::kDblockOutOfRange},
      {"discards: too many", Discarding(1, 1, kLimit + 1), Reason::kTooManyItems},
      {"discards: over a dirty block", Discarding(0, 1), Reason::kMappingDirty},
      {"clear discards: turned round", Undiscarding(2, 1), Reason::kInvalidRequest},
      {"clear discards: beyond", Undiscarding(1, kHuge64), Reason::kDblockOutOfRange},
      {"clear discards: too many", Undiscarding(1, 1, kLimit + 1), Reason::kTooManyItems},
      {"begin hints: no name", Beginning("", 4), Reason::kPolicyInvalid},
      {"begin hints: a long name", Beginning(std::string(65536, 'x'), 4), Reason::kPolicyInvalid},
      {"begin hints: markup", Beginning("<x>&\"", 4), Reason::kPolicyInvalid},
      {"begin hints: a NUL", Beginning(std::string("s\0q", 3), 4), Reason::kPolicyInvalid},
      {"begin hints: not ASCII", Beginning("smq\xc3\xa9", 4), Reason::kPolicyInvalid},
      {"begin hints: three bytes", Beginning("mq", 3), Reason::kPolicyInvalid},
  };
  Hostile id{"a long request id", Inserting({10}, {10}), Reason::kInvalidRequest};
  id.batch.mutable_insert_mappings()->mutable_options()->set_request_id(std::string(65536, 'i'));
  all.push_back(id);
  Hostile cache{"a long name of a cache", Inserting({10}, {10}), Reason::kInvalidRequest};
  cache.batch.mutable_insert_mappings()->set_cache(std::string(65536, 'c'));
  all.push_back(cache);
  Hostile reservation{"a made-up reservation", Inserting({10}, {10}), Reason::kReservationExpired};
  reservation.batch.mutable_insert_mappings()->set_reservation(kHuge64);
  all.push_back(reservation);
  return all;
}

void HostileCallersTest::ExpectNothingHappens(const std::vector<Hostile>& requests) {
  ASSERT_THAT(Alone(Beginning("smq", 4)), Succeeds());
  ASSERT_THAT(Insert({{1, 1}, {3, 3}}), Succeeds());
  ASSERT_THAT(Insert({{2, 2}}, /*dirty=*/true), Succeeds());
  const uint64_t revision = Get().revision();
  for (const Hostile& hostile : requests) {
    EXPECT_THAT(Alone(hostile.batch), FailsWith(hostile.reason)) << hostile.name;
    EXPECT_THAT(OnAStream(hostile.batch), FailsWith(hostile.reason)) << hostile.name;
  }
  EXPECT_EQ(Get().revision(), revision + requests.size()) << "the first batch of each stream, and no other";
  EXPECT_EQ(List(), (Pairs{{1, 1}, {2, 2}, {3, 3}}));
  EXPECT_EQ(List(/*dirty_only=*/true), (Pairs{{2, 2}}));
  EXPECT_EQ(Get().discarded_blocks(), 0u);
  EXPECT_EQ(Get().superblock().policy_name(), "smq");
  EXPECT_THAT(Lookup({1, 2, 3}).hints(), testing::ElementsAre(0, 0, 0));
}

TEST_F(HostileCallersTest, MalformedColumnsAreRefusedWhole) { ExpectNothingHappens(WithColumns()); }

TEST_F(HostileCallersTest, MalformedRangesAndNamesAreRefusedWhole) { ExpectNothingHappens(WithRangesAndNames()); }

TEST_F(HostileCallersTest, StringsThatAreNotUtf8AreRefused) {
  ASSERT_THAT(Insert({{1, 1}}), Succeeds());
  const uint64_t revision = Get().revision();
  v1::MutateRequest name = Marking({1});
  name.mutable_mark_dirty()->set_cache("c\xff\xfe");
  v1::MutateRequest id = Marking({1});
  id.mutable_mark_dirty()->mutable_options()->set_request_id("\xc0\x80");
  for (const v1::MutateRequest& batch : {name, id, Beginning("\xed\xa0\x80", 4)}) {
    EXPECT_FALSE(Alone(batch).ok());
  }
  EXPECT_EQ(Get().revision(), revision);
  EXPECT_EQ(Get().dirty_blocks(), 0u);
}

TEST_F(HostileCallersTest, MalformedReadsAreRefused) {
  const auto lookup = [&](const std::vector<uint32_t>& cblocks, const std::vector<uint64_t>& oblocks) {
    v1::LookupMappingsRequest request;
    request.set_cache(kCache);
    Fill(&request, cblocks, oblocks);
    Context context;
    v1::LookupMappingsResponse response;
    return metadata().LookupMappings(&context, request, &response);
  };
  EXPECT_THAT(lookup({1}, {1}), FailsWith(Reason::kInvalidRequest));
  EXPECT_THAT(lookup({1, kHuge32}, {}), FailsWith(Reason::kCblockOutOfRange));
  EXPECT_THAT(lookup({}, {1, kHuge64}), FailsWith(Reason::kOblockOutOfRange));
  EXPECT_THAT(lookup(Count<uint32_t>(kLimit + 1), {}), FailsWith(Reason::kTooManyItems));
  EXPECT_THAT(lookup({}, Count<uint64_t>(kLimit + 1)), FailsWith(Reason::kTooManyItems));
  EXPECT_THAT(lookup({}, {}), Succeeds());
  const auto reserve = [&](uint32_t count, uint32_t ttl_ms) {
    v1::ReserveCblocksRequest request;
    request.set_cache(kCache);
    request.set_count(count);
    request.set_ttl_ms(ttl_ms);
    Context context;
    v1::ReserveCblocksResponse response;
    return metadata().ReserveCblocks(&context, request, &response);
  };
  EXPECT_THAT(reserve(0, 0), FailsWith(Reason::kInvalidRequest));
  EXPECT_THAT(reserve(kLimit + 1, 0), FailsWith(Reason::kTooManyItems));
  EXPECT_THAT(reserve(kHuge32, 0), FailsWith(Reason::kTooManyItems));
  EXPECT_THAT(reserve(1, kHuge32), FailsWith(Reason::kInvalidRequest));
  EXPECT_EQ(Get().reserved_blocks(), 0u);
}

// In descending order: none has to be sorted.
TEST_F(HostileCallersTest, TheLargestRequestsAndEmptyOnesAreServed) {
  std::vector<uint32_t> cblocks = Count<uint32_t>(kLimit);
  std::vector<uint64_t> oblocks = Count<uint64_t>(kLimit);
  std::reverse(cblocks.begin(), cblocks.end());
  ASSERT_THAT(Alone(Beginning("smq", 4)), Succeeds());
  ASSERT_THAT(Alone(Inserting(cblocks, oblocks)), Succeeds());
  EXPECT_EQ(Get().mapped_blocks(), kLimit);
  ASSERT_THAT(Alone(Marking(cblocks)), Succeeds());
  EXPECT_EQ(Get().dirty_blocks(), kLimit);
  ASSERT_THAT(Alone(Clearing(cblocks, oblocks)), Succeeds());
  EXPECT_EQ(Get().dirty_blocks(), 0u);
  ASSERT_THAT(Alone(Saving(cblocks, cblocks)), Succeeds());
  EXPECT_THAT(Lookup({77}).hints(), testing::ElementsAre(77));
  ASSERT_THAT(Alone(Discarding(1, 2, kLimit)), Succeeds());
  EXPECT_EQ(Get().discarded_blocks(), 1u);
  ASSERT_THAT(Alone(Undiscarding(0, dblocks_, kLimit)), Succeeds());
  EXPECT_EQ(Get().discarded_blocks(), 0u);
  for (const v1::MutateRequest& empty : {Inserting({}, {}), Removing({}, {}), RemovingRange(5, 5), Marking({}),
                                         Clearing({}, {}), Saving({}, {}), Discarding(0, 0, 0), Undiscarding(3, 3)}) {
    EXPECT_THAT(Alone(empty), Succeeds());
  }
  EXPECT_EQ(Get().mapped_blocks(), kLimit);
  // One more mapping than one request may name.
  ASSERT_THAT(Insert({{kLimit, kLimit}}), Succeeds());
  EXPECT_THAT(Alone(RemovingRange(0, kBlocks)), FailsWith(Reason::kTooManyItems));
  ASSERT_THAT(Alone(RemovingRange(0, kLimit)), Succeeds());
  EXPECT_EQ(List(), (Pairs{{kLimit, kLimit}}));
}

}  // namespace
}  // namespace dmcached
