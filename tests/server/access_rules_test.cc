#include "server/access_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dmcached/v1/access.pb.h"
#include "dmcached/v1/cache_service.pb.h"
#include "dmcached/v1/maintenance_service.pb.h"
#include "dmcached/v1/metadata_service.pb.h"
#include "tests/support/rpcs.h"

namespace dmcached {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using testing::ElementsAre;

Role RoleOf(const google::protobuf::Message& request) { return AccessRules().DemandOf(request).role; }

TEST(AccessRulesTest, EveryRpcDeclaresItsRole) {
  for (const MethodDescriptor* method : Rpcs()) {
    EXPECT_NE(method->options().GetExtension(v1::role), v1::ROLE_UNSPECIFIED) << method->full_name();
  }
  EXPECT_GE(Rpcs().size(), 29u);
}

TEST(AccessRulesTest, LookingIsForReadersChangingForOperatorsAndTheRestForAdmins) {
  EXPECT_EQ(RoleOf(v1::ListCachesRequest()), Role::kReader);
  EXPECT_EQ(RoleOf(v1::LookupMappingsRequest()), Role::kReader);
  EXPECT_EQ(RoleOf(v1::CheckRequest()), Role::kReader);
  EXPECT_EQ(RoleOf(v1::OpenCacheRequest()), Role::kOperator);
  EXPECT_EQ(RoleOf(v1::InsertMappingsRequest()), Role::kOperator);
  EXPECT_EQ(RoleOf(v1::MutateRequest()), Role::kOperator);
  EXPECT_EQ(RoleOf(v1::CreateCacheRequest()), Role::kAdmin);
  EXPECT_EQ(RoleOf(v1::ResizeCacheRequest()), Role::kAdmin);
  EXPECT_EQ(RoleOf(v1::DeleteCacheRequest()), Role::kAdmin);
  EXPECT_EQ(RoleOf(v1::SetStatsRequest()), Role::kAdmin);
}

// A request that sets `field` and nothing else.
template <typename Request>
Request With(const std::string& field) {
  Request request;
  const auto* descriptor = Request::descriptor()->FindFieldByName(field);
  request.GetReflection()->SetBool(&request, descriptor, true);
  return request;
}

TEST(AccessRulesTest, WhatTheRulesWouldRefuseIsForAdmins) {
  EXPECT_EQ(RoleOf(With<v1::OpenCacheRequest>("assume_unclean")), Role::kAdmin);
  EXPECT_EQ(RoleOf(With<v1::CloseCacheRequest>("discard_uncommitted")), Role::kAdmin);
  EXPECT_EQ(RoleOf(With<v1::RemoveMappingsRequest>("discard_dirty")), Role::kAdmin);
  EXPECT_EQ(RoleOf(With<v1::SetDiscardsRequest>("discard_dirty")), Role::kAdmin);
  EXPECT_EQ(RoleOf(With<v1::CheckRequest>("clear_needs_check")), Role::kAdmin);
  EXPECT_EQ(RoleOf(With<v1::OpenCacheRequest>("recover")), Role::kOperator);
}

TEST(AccessRulesTest, EveryFieldThatForcesOrDiscardsDeclaresARole) {
  for (const FileDescriptor* file : ServiceFiles()) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      for (int k = 0; k < file->message_type(i)->field_count(); ++k) {
        const auto* field = file->message_type(i)->field(k);
        const std::string& name = field->name();
        const bool dangerous = name == "force" || name == "wipe" || name.starts_with("discard_dirty") ||
                               name.starts_with("discard_uncommitted") || name == "assume_unclean" ||
                               name == "clear_needs_check";
        EXPECT_EQ(field->options().GetExtension(v1::set_role), dangerous ? v1::ROLE_ADMIN : v1::ROLE_UNSPECIFIED)
            << field->full_name();
      }
    }
  }
}

TEST(AccessRulesTest, ABatchOfMutateIsJudgedLikeItsOwnRpc) {
  v1::MutateRequest request;
  request.set_cache("vol1");
  request.mutable_remove_mappings()->add_cblocks(1);
  EXPECT_EQ(RoleOf(request), Role::kOperator);
  request.mutable_remove_mappings()->set_discard_dirty(true);
  EXPECT_EQ(RoleOf(request), Role::kAdmin);
  request.mutable_set_stats();
  EXPECT_EQ(RoleOf(request), Role::kAdmin);
  EXPECT_EQ(AccessRules().DemandOf(request).cache, "vol1");
}

TEST(AccessRulesTest, CacheAndPathsAreFound) {
  v1::CreateCacheRequest request;
  request.set_name("vol1");
  request.set_metadata_path("/m");
  request.set_origin_path("/o");
  const Demand demand = AccessRules().DemandOf(request);
  EXPECT_EQ(demand.method, "CreateCache");
  EXPECT_EQ(demand.cache, "vol1");
  EXPECT_THAT(demand.paths, ElementsAre("/m", "/o"));
  v1::CheckRequest check;
  check.set_metadata_path("/c");
  EXPECT_EQ(AccessRules().DemandOf(check).cache, "");
  EXPECT_THAT(AccessRules().DemandOf(check).paths, ElementsAre("/c"));
}

TEST(AccessRulesTest, AMessageThatIsNoRequestNeedsAnAdmin) { EXPECT_EQ(RoleOf(v1::Cache()), Role::kAdmin); }

}  // namespace
}  // namespace dmcached
