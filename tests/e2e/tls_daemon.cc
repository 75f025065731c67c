#include "tests/e2e/tls_daemon.h"

#include <filesystem>
#include <fstream>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace dmcached {

TlsDaemonTest::TlsDaemonTest() {
  config_.listen.emplace_back("127.0.0.1:0");
  config_.metrics = "127.0.0.1:0";
  config_.tls = TlsConfig{folder_.File("tls.crt"), folder_.File("tls.key"), folder_.File("ca.crt")};
  config_.roles = {{kReader, Role::kReader}, {kOperator, Role::kOperator}, {kAdmin, Role::kAdmin}};
  WriteServer(authority_.Issue(ServerNames()), authority_.certificate());
}

void TlsDaemonTest::WriteServer(const Pair& pair, const std::string& client_ca) const {
  std::ofstream(config_.tls->certificate, std::ios::trunc) << pair.certificate;
  std::ofstream(config_.tls->key, std::ios::trunc) << pair.key;
  std::ofstream(config_.tls->client_ca, std::ios::trunc) << client_ca;
}

Wanted TlsDaemonTest::ServerNames() { return {.common_name = "d", .names = {"DNS:dmcached", "IP:127.0.0.1"}}; }

Pair TlsDaemonTest::PairOf(const Authority& authority, const std::string& uri) {
  return authority.Issue({.common_name = "caller", .names = {"URI:" + uri}});
}

std::shared_ptr<grpc::Channel> TlsDaemonTest::Dial(const Pair& pair, const std::string& server_ca) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(tls_address(), grpc::SslCredentials({server_ca, pair.key, pair.certificate}),
                                   arguments);
}

std::shared_ptr<grpc::Channel> TlsDaemonTest::DialAs(const std::string& uri) {
  return Dial(PairOf(authority_, uri), authority_.certificate());
}

grpc::Status TlsDaemonTest::GetServerInfo(const std::shared_ptr<grpc::Channel>& channel) {
  Context context;
  v1::GetServerInfoResponse response;
  return v1::CacheService::NewStub(channel)->GetServerInfo(&context, {}, &response);
}

grpc::Status TlsDaemonTest::Probe(const std::shared_ptr<grpc::Channel>& channel, const std::string& path) {
  Context context;
  v1::ProbeCacheRequest request;
  request.set_metadata_path(path);
  v1::ProbeCacheResponse response;
  return v1::CacheService::NewStub(channel)->ProbeCache(&context, request, &response);
}

}  // namespace dmcached
