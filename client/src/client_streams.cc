// MetadataService: streams.
#include <memory>
#include <utility>

#include "client/src/client_impl.h"
#include "client/src/convert.h"
#include "client/src/mutate_stream_impl.h"
#include "client/src/status_internal.h"
#include "dmcached/client.h"

namespace dmcached::client {
namespace {

using Stub = v1::MetadataService::Stub;

// One server stream.  Finishes the call whatever happens: gRPC wants every call finished.
template <typename Request, typename Response, typename Item>
class GrpcSource : public MessageSource<Item> {
 public:
  using Method = std::unique_ptr<grpc::ClientReader<Response>> (Stub::*)(grpc::ClientContext*, const Request&);

  GrpcSource(Client::Impl& impl, Method method, const Request& request, const CallOptions& options) {
    broken_ = impl.connection.Connect();
    if (!broken_.ok()) return;
    if (options.timeout.value_or(kNoDeadline) != kNoDeadline) {
      context_.set_deadline(std::chrono::system_clock::now() + *options.timeout);
    }
    reader_ = ((*impl.metadata_stub).*method)(&context_, request);
  }

  ~GrpcSource() override {
    if (reader_ == nullptr || finished_) return;
    context_.TryCancel();
    reader_->Finish();
  }

  bool Next(std::vector<Item>& items, std::string& cursor) override {
    if (!broken_.ok() || !reader_->Read(&response_)) return false;
    broken_ = FromProto(response_, items);
    if (!broken_.ok()) {
      items.clear();
      return false;
    }
    cursor = response_.cursor();
    return true;
  }

  absl::Status Finish() override {
    if (reader_ == nullptr) return broken_;
    if (!broken_.ok()) context_.TryCancel();
    finished_ = true;
    absl::Status status = FromGrpc(reader_->Finish());
    return broken_.ok() ? status : broken_;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Response>> reader_;
  Response response_;
  absl::Status broken_;  // Why there is nothing more, if it is not the call itself that ended.
  bool finished_ = false;
};

}  // namespace

Stream<Mapping> Client::ListMappings(const std::string& cache, const ListMappingsRequest& request,
                                     const CallOptions& options) {
  using Source = GrpcSource<v1::ListMappingsRequest, v1::ListMappingsResponse, Mapping>;
  return Stream<Mapping>(std::make_unique<Source>(*impl_, &Stub::ListMappings, ToProto(cache, request), options));
}

Stream<BlockRange> Client::ListDiscards(const std::string& cache, const std::string& cursor,
                                        const CallOptions& options) {
  using Source = GrpcSource<v1::ListDiscardsRequest, v1::ListDiscardsResponse, BlockRange>;
  v1::ListDiscardsRequest message;
  message.set_cache(cache);
  message.set_cursor(cursor);
  return Stream<BlockRange>(std::make_unique<Source>(*impl_, &Stub::ListDiscards, message, options));
}

Stream<Hint> Client::ListHints(const std::string& cache, const ListHintsRequest& request, const CallOptions& options) {
  using Source = GrpcSource<v1::ListHintsRequest, v1::ListHintsResponse, Hint>;
  return Stream<Hint>(std::make_unique<Source>(*impl_, &Stub::ListHints, ToProto(cache, request), options));
}

absl::StatusOr<MutateStream> Client::Mutate(const std::string& cache, const MutateStreamOptions& options) {
  const absl::StatusOr<uint64_t> incarnation = impl_->IncarnationFor(cache, options.incarnation, {});
  if (!incarnation.ok()) return incarnation.status();
  if (absl::Status status = impl_->connection.Connect(); !status.ok()) return status;
  auto stream = std::make_unique<MutateStream::Impl>(options, *incarnation);
  stream->Start(*impl_->metadata_stub, cache);
  return MutateStream(std::move(stream));
}

}  // namespace dmcached::client
