#include "server/list_streams.h"

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/status.h"
#include "core/cache/cache_snapshot.h"
#include "server/convert.h"
#include "server/page_stream.h"

namespace dmcached {
namespace {

constexpr size_t kItemsPerPage = 4096;
constexpr uint64_t kMaxCblock = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kMaxDblock = std::numeric_limits<uint64_t>::max();

class MappingStream final : public PageStream<v1::ListMappingsResponse> {
 public:
  MappingStream(const v1::ListMappingsRequest& request, const absl::Status& allowed, Engine& engine, Executor& readers,
                grpc::CallbackServerContext& context)
      : PageStream(engine, readers, context) {
    if (!allowed.ok()) {
      Refuse(allowed);
      return;
    }
    const absl::StatusOr<uint64_t> from = ParseCursor('m', request.cursor(), kMaxCblock);
    absl::StatusOr<MappingFilter> filter = ToFilter(request);
    if (!from.ok() || !filter.ok()) {
      Refuse(from.ok() ? filter.status() : from.status());
      return;
    }
    from_ = Cblock(static_cast<uint32_t>(*from));
    filter_ = *std::move(filter);
    Start(request.cache());
  }

 private:
  absl::StatusOr<PageKind> ReadPage(CacheSnapshot& snapshot, v1::ListMappingsResponse* message) override {
    DMCACHED_ASSIGN_OR_RETURN(const MappingPage page, snapshot.ReadMappings(filter_, from_, kItemsPerPage));
    if (page.next.has_value()) {
      from_ = *page.next;
    } else if (!page.cblocks.empty()) {
      from_ = Cblock(page.cblocks.back() + 1);
    }
    FillPage(page, message);
    message->set_cursor(MakeCursor('m', from_.value()));
    message->set_transaction(snapshot.transaction());
    message->set_incarnation(snapshot.incarnation());
    return KindOf(page.cblocks.empty(), page.next.has_value());
  }

  MappingFilter filter_;
  Cblock from_;
};

class DiscardStream final : public PageStream<v1::ListDiscardsResponse> {
 public:
  DiscardStream(const v1::ListDiscardsRequest& request, const absl::Status& allowed, Engine& engine, Executor& readers,
                grpc::CallbackServerContext& context)
      : PageStream(engine, readers, context) {
    if (!allowed.ok()) {
      Refuse(allowed);
      return;
    }
    const absl::StatusOr<uint64_t> from = ParseCursor('d', request.cursor(), kMaxDblock);
    if (!from.ok()) {
      Refuse(from.status());
      return;
    }
    from_ = Dblock(*from);
    Start(request.cache());
  }

 private:
  absl::StatusOr<PageKind> ReadPage(CacheSnapshot& snapshot, v1::ListDiscardsResponse* message) override {
    DMCACHED_ASSIGN_OR_RETURN(const DiscardPage page, snapshot.ReadDiscards(from_, kItemsPerPage));
    if (page.next.has_value()) {
      from_ = *page.next;
    } else if (!page.ends.empty()) {
      from_ = Dblock(page.ends.back());
    }
    FillPage(page, message);
    message->set_cursor(MakeCursor('d', from_.value()));
    message->set_transaction(snapshot.transaction());
    message->set_discard_block_size_sectors(snapshot.discard_block_size().value());
    return KindOf(page.begins.empty(), page.next.has_value());
  }

  Dblock from_;
};

class HintStream final : public PageStream<v1::ListHintsResponse> {
 public:
  HintStream(const v1::ListHintsRequest& request, const absl::Status& allowed, Engine& engine, Executor& readers,
             grpc::CallbackServerContext& context)
      : PageStream(engine, readers, context), policy_(ToHintPolicy(request.policy_name(), request.policy_version())) {
    if (!allowed.ok()) {
      Refuse(allowed);
      return;
    }
    const absl::StatusOr<uint64_t> from = ParseCursor('h', request.cursor(), kMaxCblock);
    if (!from.ok()) {
      Refuse(from.status());
      return;
    }
    from_ = Cblock(static_cast<uint32_t>(*from));
    Start(request.cache());
  }

 private:
  absl::StatusOr<PageKind> ReadPage(CacheSnapshot& snapshot, v1::ListHintsResponse* message) override {
    DMCACHED_ASSIGN_OR_RETURN(const HintPage page, snapshot.ReadHints(policy_, from_, kItemsPerPage));
    if (page.next.has_value()) {
      from_ = *page.next;
    } else if (!page.cblocks.empty()) {
      from_ = Cblock(page.cblocks.back() + 1);
    }
    FillPage(page, message);
    message->set_cursor(MakeCursor('h', from_.value()));
    message->set_transaction(snapshot.transaction());
    return KindOf(page.cblocks.empty(), page.next.has_value());
  }

  const std::optional<HintPolicy> policy_;
  Cblock from_;
};

}  // namespace

grpc::ServerWriteReactor<v1::ListMappingsResponse>* StartListMappings(grpc::CallbackServerContext* context,
                                                                      const v1::ListMappingsRequest& request,
                                                                      const absl::Status& allowed, Engine& engine,
                                                                      Executor& readers) {
  return new MappingStream(request, allowed, engine, readers, *context);
}

grpc::ServerWriteReactor<v1::ListDiscardsResponse>* StartListDiscards(grpc::CallbackServerContext* context,
                                                                      const v1::ListDiscardsRequest& request,
                                                                      const absl::Status& allowed, Engine& engine,
                                                                      Executor& readers) {
  return new DiscardStream(request, allowed, engine, readers, *context);
}

grpc::ServerWriteReactor<v1::ListHintsResponse>* StartListHints(grpc::CallbackServerContext* context,
                                                                const v1::ListHintsRequest& request,
                                                                const absl::Status& allowed, Engine& engine,
                                                                Executor& readers) {
  return new HintStream(request, allowed, engine, readers, *context);
}

}  // namespace dmcached
