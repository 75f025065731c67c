// The server streams: pages, filters, cursors, stopping half-way.
#include "grpcpp/create_channel.h"
#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class ListsTest : public DaemonTest {
 protected:
  static constexpr uint32_t kMapped = 10000;

  ListsTest() {
    Start();
    NewMetadata();
    v1::CreateCacheRequest request = CreateRequest();
    request.set_cache_blocks(kMapped + 10);
    Create(request);
    Pairs pairs;
    for (uint32_t i = 0; i < kMapped; ++i) pairs.emplace_back(i, kMapped - 1 - i);
    EXPECT_THAT(Insert(pairs), Succeeds());
  }

  v1::ListMappingsRequest Request() {
    v1::ListMappingsRequest request;
    request.set_cache(kCache);
    return request;
  }
  Pairs ReadAll(const v1::ListMappingsRequest& request) {
    Context context;
    const auto reader = metadata().ListMappings(&context, request);
    Pairs pairs;
    for (v1::ListMappingsResponse page; reader->Read(&page);) Append(page, pairs);
    EXPECT_THAT(reader->Finish(), Succeeds());
    return pairs;
  }
  static void Append(const v1::ListMappingsResponse& page, Pairs& pairs) {
    ASSERT_EQ(page.cblocks_size(), page.oblocks_size());
    ASSERT_EQ(page.cblocks_size(), page.dirty_size());
    for (int i = 0; i < page.cblocks_size(); ++i) pairs.emplace_back(page.cblocks(i), page.oblocks(i));
  }
  grpc::Status StatusOfList(const v1::ListMappingsRequest& request) {
    Context context;
    const auto reader = metadata().ListMappings(&context, request);
    v1::ListMappingsResponse page;
    while (reader->Read(&page)) {
    }
    return reader->Finish();
  }
};

TEST_F(ListsTest, EveryMappingComesOnceInCblockOrder) {
  const Pairs pairs = ReadAll(Request());
  ASSERT_EQ(pairs.size(), kMapped);
  for (uint32_t i = 0; i < kMapped; ++i) ASSERT_EQ(pairs[i], (std::pair<uint32_t, uint64_t>(i, kMapped - 1 - i)));
}

TEST_F(ListsTest, ACursorGoesOnBehindItsMessage) {
  Pairs pairs;
  std::string cursor;
  int calls = 0;
  while (pairs.size() < kMapped) {
    ASSERT_LT(++calls, 10);
    v1::ListMappingsRequest request = Request();
    request.set_cursor(cursor);
    Context context;
    const auto reader = metadata().ListMappings(&context, request);
    v1::ListMappingsResponse page;
    ASSERT_TRUE(reader->Read(&page));
    Append(page, pairs);
    cursor = page.cursor();
    context.TryCancel();  // Half-way, like a caller that crashed.
    while (reader->Read(&page)) {
    }
    (void)reader->Finish();
  }
  EXPECT_GT(calls, 1);
  EXPECT_EQ(pairs, ReadAll(Request()));
  // Behind the end there is nothing.
  v1::ListMappingsRequest request = Request();
  request.set_cursor(cursor);
  EXPECT_EQ(ReadAll(request), Pairs{});
}

TEST_F(ListsTest, FiltersNarrowTheList) {
  ASSERT_THAT(MarkDirty({3, 5, 5000}), Succeeds());
  v1::ListMappingsRequest request = Request();
  request.set_dirty_only(true);
  EXPECT_EQ(ReadAll(request), (Pairs{{3, kMapped - 4}, {5, kMapped - 6}, {5000, kMapped - 5001}}));
  request.mutable_cblock_range()->set_begin(4);
  request.mutable_cblock_range()->set_end(5000);
  EXPECT_EQ(ReadAll(request), (Pairs{{5, kMapped - 6}}));
  request = Request();
  request.mutable_oblock_range()->set_begin(0);
  request.mutable_oblock_range()->set_end(2);
  EXPECT_EQ(ReadAll(request), (Pairs{{kMapped - 2, 1}, {kMapped - 1, 0}}));
}

TEST_F(ListsTest, AListIsOfOneStateWhileMutationsGoOn) {
  Context context;
  const auto reader = metadata().ListMappings(&context, Request());
  v1::ListMappingsResponse page;
  ASSERT_TRUE(reader->Read(&page));
  Pairs pairs;
  Append(page, pairs);
  ASSERT_THAT(Remove({{kMapped - 1, 0}}), Succeeds());
  ASSERT_THAT(Insert({{kMapped + 1, 0}}), Succeeds());
  ASSERT_THAT(Commit(), Succeeds());
  while (reader->Read(&page)) Append(page, pairs);
  EXPECT_THAT(reader->Finish(), Succeeds());
  EXPECT_EQ(pairs.size(), kMapped);
  EXPECT_EQ(pairs.back(), (std::pair<uint32_t, uint64_t>(kMapped - 1, 0)));
}

TEST_F(ListsTest, AStreamThatStopsHalfWayLetsGoOfItsSnapshot) {
  {
    Context context;
    const auto reader = metadata().ListMappings(&context, Request());
    v1::ListMappingsResponse page;
    ASSERT_TRUE(reader->Read(&page));
    EXPECT_LE(Get().snapshots(), 1u);  // A short list may be read to its end already.
    context.TryCancel();
    while (reader->Read(&page)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Get().snapshots() != 0) ASSERT_LT(std::chrono::steady_clock::now(), give_up);
}

TEST_F(ListsTest, ClosingTheCacheRevokesTheSnapshot) {
  // So many mappings that a client which takes little at a time is far from their end.
  constexpr uint32_t kMany = 200000;
  NewMetadata("large", 16 << 20);
  v1::CreateCacheRequest create = CreateRequest("large", "large");
  create.set_cache_blocks(kMany);
  create.set_origin_size_sectors(uint64_t{kMany} * kBlockSectors);
  Create(create);
  for (uint32_t begin = 0; begin < kMany; begin += 50000) {
    v1::InsertMappingsRequest insert;
    insert.set_cache("large");
    for (uint32_t i = begin; i < begin + 50000; ++i) {
      insert.add_cblocks(i);
      insert.add_oblocks(i);
    }
    *insert.mutable_options() = Options("large");
    Context context;
    v1::InsertMappingsResponse response;
    ASSERT_THAT(metadata().InsertMappings(&context, insert, &response), Succeeds());
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65535);
  const auto slow = v1::MetadataService::NewStub(
      grpc::CreateCustomChannel(app().addresses()[0], grpc::InsecureChannelCredentials(), arguments));
  v1::ListMappingsRequest request;
  request.set_cache("large");
  Context context;
  const auto reader = slow->ListMappings(&context, request);
  v1::ListMappingsResponse page;
  ASSERT_TRUE(reader->Read(&page));
  ASSERT_THAT(Close("large"), Succeeds());
  while (reader->Read(&page)) {
  }
  EXPECT_THAT(reader->Finish(), FailsWith(Reason::kSnapshotRevoked));
}

TEST_F(ListsTest, WrongRequestsAreRefused) {
  v1::ListMappingsRequest request = Request();
  request.set_cursor("x1");
  EXPECT_THAT(StatusOfList(request), FailsWith(Reason::kInvalidRequest));
  request = Request();
  request.mutable_cblock_range()->set_begin(2);
  EXPECT_THAT(StatusOfList(request), FailsWith(Reason::kInvalidRequest));
  request = Request();
  request.set_cache("nobody");
  EXPECT_THAT(StatusOfList(request), FailsWith(Reason::kCacheNotOpen));
  request.set_cache("No Body");
  EXPECT_THAT(StatusOfList(request), FailsWith(Reason::kInvalidRequest));
  Context context;
  v1::ListDiscardsRequest discards;
  discards.set_cache(kCache);
  discards.set_cursor("m1");  // Of another list.
  const auto reader = metadata().ListDiscards(&context, discards);
  v1::ListDiscardsResponse page;
  EXPECT_FALSE(reader->Read(&page));
  EXPECT_THAT(reader->Finish(), FailsWith(Reason::kInvalidRequest));
}

TEST_F(ListsTest, AnEmptyListStillNamesItsState) {
  v1::ListMappingsRequest request = Request();
  request.set_dirty_only(true);
  Context context;
  const auto reader = metadata().ListMappings(&context, request);
  v1::ListMappingsResponse page;
  ASSERT_TRUE(reader->Read(&page));
  EXPECT_EQ(page.cblocks_size(), 0);
  EXPECT_EQ(page.incarnation(), Get().incarnation());
  EXPECT_FALSE(reader->Read(&page));
  EXPECT_THAT(reader->Finish(), Succeeds());
}

}  // namespace
}  // namespace dmcached
