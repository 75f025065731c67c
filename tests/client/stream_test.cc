// Server streams as ranges.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "dmcached/client.h"
#include "tests/client/fake_service.h"

namespace dmcached::client {
namespace {

using testing::ElementsAre;

v1::ListMappingsResponse Page(const std::vector<uint32_t>& cblocks, const std::string& cursor) {
  v1::ListMappingsResponse page;
  for (const uint32_t cblock : cblocks) {
    page.add_cblocks(cblock);
    page.add_oblocks(cblock * 10);
    page.add_dirty(cblock % 2 == 1);
  }
  page.set_cursor(cursor);
  return page;
}

TEST(StreamTest, GoesOverAllItemsOfAllMessages) {
  FakeDaemon daemon;
  daemon.metadata.on_ListMappings = [](grpc::ServerContext*, const v1::ListMappingsRequest& request,
                                       FakeMetadataService::MappingWriter& writer) {
    EXPECT_EQ(request.cache(), "c");
    EXPECT_TRUE(request.dirty_only());
    EXPECT_EQ(request.cblock_range().begin(), 1u);
    EXPECT_EQ(request.cblock_range().end(), 9u);
    EXPECT_FALSE(request.has_oblock_range());
    writer.Write(Page({1, 2}, "a"));
    writer.Write(Page({}, "b"));  // A message without items is no end.
    v1::ListMappingsResponse last = Page({7}, "z");
    last.add_hints(42);
    last.add_dirty_stored(false);
    writer.Write(last);
    return grpc::Status::OK;
  };
  Client client({.address = daemon.address()});
  Stream<Mapping> stream = client.ListMappings("c", {.dirty_only = true, .cblock_range = BlockRange{1, 9}});
  std::vector<Mapping> found;
  for (const Mapping& mapping : stream) found.push_back(mapping);
  EXPECT_TRUE(stream.status().ok()) << stream.status();
  EXPECT_EQ(stream.cursor(), "z");
  EXPECT_THAT(found, ElementsAre(Mapping{.cblock = 1, .oblock = 10, .dirty = true},
                                 Mapping{.cblock = 2, .oblock = 20, .dirty = false},
                                 Mapping{.cblock = 7, .oblock = 70, .dirty = true, .dirty_stored = false, .hint = 42}));
}

TEST(StreamTest, EndsWithTheErrorAndTheCursorBehindTheLastItem) {
  FakeDaemon daemon;
  daemon.metadata.on_ListMappings = [](grpc::ServerContext*, const v1::ListMappingsRequest&,
                                       FakeMetadataService::MappingWriter& writer) {
    writer.Write(Page({1, 2}, "behind 2"));
    return ServiceError(grpc::StatusCode::ABORTED, "SNAPSHOT_REVOKED", "space ran short");
  };
  Client client({.address = daemon.address()});
  Stream<Mapping> stream = client.ListMappings("c");
  int count = 0;
  for ([[maybe_unused]] const Mapping& mapping : stream) ++count;
  EXPECT_EQ(count, 2);
  EXPECT_EQ(ReasonOf(stream.status()), "SNAPSHOT_REVOKED");
  EXPECT_EQ(stream.cursor(), "behind 2");
}

TEST(StreamTest, DestroyingItCancelsTheCall) {
  FakeDaemon daemon;
  std::atomic<bool> cancelled = false;
  daemon.metadata.on_ListMappings = [&](grpc::ServerContext* context, const v1::ListMappingsRequest&,
                                        FakeMetadataService::MappingWriter& writer) {
    while (writer.Write(Page({1}, "x"))) std::this_thread::yield();
    cancelled = context->IsCancelled();
    return grpc::Status::OK;
  };
  {
    Client client({.address = daemon.address()});
    Stream<Mapping> stream = client.ListMappings("c");
    ASSERT_NE(stream.begin(), stream.end());
  }
  daemon.Stop();  // Joins the handler.
  EXPECT_TRUE(cancelled);
}

TEST(StreamTest, RefusesColumnsOfUnequalLength) {
  FakeDaemon daemon;
  daemon.metadata.on_ListMappings = [](grpc::ServerContext*, const v1::ListMappingsRequest&,
                                       FakeMetadataService::MappingWriter& writer) {
    v1::ListMappingsResponse page = Page({1, 2}, "x");
    page.add_oblocks(3);
    writer.Write(page);
    return grpc::Status::OK;
  };
  Client client({.address = daemon.address()});
  Stream<Mapping> stream = client.ListMappings("c");
  EXPECT_EQ(stream.begin(), stream.end());
  EXPECT_EQ(stream.status().code(), absl::StatusCode::kInternal);
}

TEST(StreamTest, ListsDiscardsAsHalfOpenRanges) {
  FakeDaemon daemon;
  daemon.metadata.on_ListDiscards = [](const v1::ListDiscardsRequest& request,
                                       FakeMetadataService::DiscardWriter& writer) {
    EXPECT_EQ(request.cursor(), "from here");
    v1::ListDiscardsResponse page;
    page.add_begins(5);
    page.add_ends(9);
    writer.Write(page);
    return grpc::Status::OK;
  };
  Client client({.address = daemon.address()});
  Stream<BlockRange> stream = client.ListDiscards("c", "from here");
  std::vector<BlockRange> found;
  for (const BlockRange& range : stream) found.push_back(range);
  EXPECT_THAT(found, ElementsAre(BlockRange{5, 9}));
  EXPECT_TRUE(stream.status().ok());
}

TEST(StreamTest, IsEmptyWithAnErrorWhenThereIsNoDaemon) {
  FakeDaemon daemon;
  daemon.Stop();
  Client client({.address = daemon.address()});
  Stream<Mapping> stream = client.ListMappings("c");
  EXPECT_EQ(stream.begin(), stream.end());
  EXPECT_TRUE(NeverSent(stream.status()));
}

}  // namespace
}  // namespace dmcached::client
