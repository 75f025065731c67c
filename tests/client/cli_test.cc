// dmcachectl against a fake daemon: the JSON contract, tables, exit codes, what is sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/app.h"
#include "tests/client/fake_service.h"

namespace dmcached::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class CliTest : public testing::Test {
 protected:
  CliTest() {
    daemon_.cache.on_GetCache = [](grpc::ServerContext*, const v1::GetCacheRequest& request,
                                   v1::GetCacheResponse& answer) {
      if (request.name() != "c") {
        return ServiceError(grpc::StatusCode::NOT_FOUND, "CACHE_NOT_OPEN",
                            "cache \"" + request.name() + "\" is not open");
      }
      answer.mutable_cache()->set_name("c");
      answer.mutable_cache()->set_state(v1::Cache::STATE_READ_ONLY);
      answer.mutable_cache()->set_incarnation(0xab);
      answer.mutable_cache()->mutable_superblock()->set_version(2);
      answer.mutable_cache()->mutable_superblock()->set_cache_blocks(1000);
      answer.mutable_cache()->mutable_superblock()->set_data_block_size_sectors(128);
      answer.mutable_cache()->set_dirty_tracking(v1::DIRTY_TRACKING_EXACT);
      return grpc::Status::OK;
    };
    daemon_.metadata.on_LookupMappings = [](grpc::ServerContext*, const v1::LookupMappingsRequest& request,
                                            v1::LookupMappingsResponse& answer) {
      for (const uint32_t cblock : request.cblocks()) {  // Only even cblocks are mapped.
        answer.add_mapped(cblock % 2 == 0);
        answer.add_cblocks(cblock);
        answer.add_oblocks(cblock % 2 == 0 ? cblock + 1000 : 0);
        answer.add_dirty(cblock % 4 == 0);
      }
      return grpc::Status::OK;
    };
    daemon_.metadata.on_InsertMappings = [this](grpc::ServerContext*, const v1::InsertMappingsRequest& request,
                                                v1::InsertMappingsResponse& answer) {
      SetResult(*answer.mutable_result());
      const size_t count = inserts_.Add(request);
      return count <= insert_script_.size() ? insert_script_[count - 1] : grpc::Status::OK;
    };
    daemon_.metadata.on_RemoveMappings = [this](grpc::ServerContext*, const v1::RemoveMappingsRequest& request,
                                                v1::RemoveMappingsResponse& answer) {
      removes_.Add(request);
      SetResult(*answer.mutable_result());
      answer.set_removed_count(static_cast<uint32_t>(request.cblocks_size()));
      return grpc::Status::OK;
    };
  }

  static void SetResult(v1::MutationResult& result) {
    result.set_incarnation(0xab);
    result.set_revision(5);
    result.set_transaction(8);
    result.set_durable_transaction(7);
  }

  int Run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.end(), {"--address", daemon_.address()});
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    const int code = cli::Run(arguments, in, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  nlohmann::json Out() const { return nlohmann::json::parse(out_); }

  FakeDaemon daemon_;
  Record<v1::InsertMappingsRequest> inserts_;
  Record<v1::RemoveMappingsRequest> removes_;
  Record<grpc::Status> insert_script_;  // Answers to the first inserts; OK after them.
  std::string out_;
  std::string err_;
};

TEST_F(CliTest, CacheShowPrintsEveryFieldOfTheContractEvenIfItIsZero) {
  ASSERT_EQ(Run({"cache", "show", "c", "--json"}), 0) << err_;
  const nlohmann::json json = Out();
  for (const char* number : {"version", "dataBlockSizeSectors", "cacheBlocks", "policyHintSize",
                             "discardBlockSizeSectors", "discardBlocks", "mappedBlocks", "dirtyBlocks",
                             "metadataBlocks", "freeMetadataBlocks", "revision", "transaction", "durableTransaction"}) {
    EXPECT_TRUE(json.contains(number) && json[number].is_number_unsigned()) << number;
  }
  for (const char* boolean : {"cleanShutdown", "needsCheck", "uncommittedChanges"}) {
    EXPECT_TRUE(json.contains(boolean) && json[boolean].is_boolean()) << boolean;
  }
  EXPECT_EQ(json["state"], "read_only");
  EXPECT_EQ(json["incarnation"], "00000000000000ab");
  EXPECT_EQ(json["policyName"], "");
  EXPECT_EQ(json["identity"], "");
  EXPECT_EQ(json["cacheBlocks"], 1000);
  EXPECT_EQ(json["dirtyTracking"], "exact");
}

TEST_F(CliTest, ProbeHasTheSuperblockAtTheTopLevel) {
  daemon_.cache.on_ProbeCache = [](grpc::ServerContext*, const v1::ProbeCacheRequest& request,
                                   v1::ProbeCacheResponse& answer) {
    answer.set_formatted(request.metadata_path() == "/meta");
    answer.mutable_superblock()->set_identity("id-1");
    answer.mutable_superblock()->set_policy_name("smq");
    return grpc::Status::OK;
  };
  ASSERT_EQ(Run({"probe", "/meta", "--json"}), 0) << err_;
  EXPECT_EQ(Out()["formatted"], true);
  EXPECT_EQ(Out()["identity"], "id-1");
  EXPECT_EQ(Out()["policyName"], "smq");
  EXPECT_EQ(Out()["cleanShutdown"], false);
  ASSERT_EQ(Run({"probe", "/zeros", "--json"}), 0) << err_;
  EXPECT_EQ(Out()["formatted"], false);
  EXPECT_FALSE(Out().contains("version"));
}

TEST_F(CliTest, MappingListPrintsOneObjectALineWithTheHintOnlyWhenValid) {
  daemon_.metadata.on_ListMappings = [](grpc::ServerContext*, const v1::ListMappingsRequest& request,
                                        FakeMetadataService::MappingWriter& writer) {
    v1::ListMappingsResponse page;
    for (const uint32_t cblock : {1, 2}) {
      page.add_cblocks(cblock);
      page.add_oblocks((uint64_t{1} << 40) + cblock);
      page.add_dirty(true);
      page.add_dirty_stored(cblock == 1);
      if (request.dirty_only()) page.add_hints(9);
    }
    writer.Write(page);
    return grpc::Status::OK;
  };
  ASSERT_EQ(Run({"mapping", "list", "c", "--json"}), 0) << err_;
  EXPECT_EQ(out_,
            "{\"cblock\":1,\"oblock\":1099511627777,\"dirty\":true}\n"
            "{\"cblock\":2,\"oblock\":1099511627778,\"dirty\":true,\"dirtyStored\":false}\n");
  ASSERT_EQ(Run({"mapping", "list", "c", "--dirty", "--json"}), 0) << err_;
  EXPECT_THAT(out_, StartsWith("{\"cblock\":1,\"oblock\":1099511627777,\"dirty\":true,\"hint\":9}\n"));
  ASSERT_EQ(Run({"mapping", "list", "c"}), 0) << err_;
  EXPECT_EQ(out_,
            "    CBLOCK           OBLOCK  DIRTY             HINT\n"
            "         1    1099511627777  yes                  -\n"
            "         2    1099511627778  assumed              -\n");
}

TEST_F(CliTest, LookupAnswersInTheOrderAsked) {
  ASSERT_EQ(Run({"mapping", "lookup", "c", "--cblocks", "8", "5-6", "--json"}), 0) << err_;
  EXPECT_EQ(out_,
            "{\"cblock\":8,\"oblock\":1008,\"dirty\":true}\n"
            "{\"cblock\":5,\"mapped\":false}\n"
            "{\"cblock\":6,\"oblock\":1006,\"dirty\":false}\n");
}

TEST_F(CliTest, DiscardListReserveAndStatsPrintTheContract) {
  daemon_.metadata.on_ListDiscards = [](const v1::ListDiscardsRequest&, FakeMetadataService::DiscardWriter& writer) {
    v1::ListDiscardsResponse page;
    page.add_begins(0);
    page.add_ends(7);
    writer.Write(page);
    return grpc::Status::OK;
  };
  daemon_.metadata.on_ReserveCblocks = [](grpc::ServerContext*, const v1::ReserveCblocksRequest& request,
                                          v1::ReserveCblocksResponse& answer) {
    EXPECT_EQ(request.count(), 2u);
    EXPECT_EQ(request.ttl_ms(), 30000u);
    answer.set_reservation(0xfedcba9876543210);
    answer.add_cblocks(3);
    answer.add_cblocks(4);
    answer.set_ttl_ms(30000);
    return grpc::Status::OK;
  };
  daemon_.metadata.on_GetStats = [](grpc::ServerContext*, const v1::GetStatsRequest&, v1::GetStatsResponse& answer) {
    answer.mutable_stats()->set_write_hits(4294967295);
    return grpc::Status::OK;
  };
  ASSERT_EQ(Run({"discard", "list", "c", "--json"}), 0) << err_;
  EXPECT_EQ(out_, "{\"begin\":0,\"end\":7}\n");
  ASSERT_EQ(Run({"mapping", "reserve", "c", "--count", "2", "--ttl", "30s", "--json"}), 0) << err_;
  EXPECT_THAT(out_, StartsWith("{\"reservation\":\"fedcba9876543210\",\"cblocks\":[3,4],\"ttlMs\":30000"));
  ASSERT_EQ(Run({"stats", "show", "c", "--json"}), 0) << err_;
  EXPECT_EQ(out_, "{\"readHits\":0,\"readMisses\":0,\"writeHits\":4294967295,\"writeMisses\":0}\n");
}

TEST_F(CliTest, InsertSendsPairsReservationAndOptions) {
  ASSERT_EQ(Run({"mapping", "insert", "c", "--reservation", "00000000000000ff", "--durable", "--request-id", "r1",
                 "1:100", "2:200:dirty", "--json"}),
            0)
      << err_;
  ASSERT_EQ(inserts_.size(), 1u);
  EXPECT_THAT(inserts_[0].cblocks(), ElementsAre(1, 2));
  EXPECT_THAT(inserts_[0].oblocks(), ElementsAre(100, 200));
  EXPECT_THAT(inserts_[0].dirty(), ElementsAre(false, true));
  EXPECT_EQ(inserts_[0].reservation(), 255u);
  EXPECT_EQ(inserts_[0].options().request_id(), "r1");
  EXPECT_EQ(inserts_[0].options().incarnation(), 0xabu);
  EXPECT_TRUE(inserts_[0].options().durable());
  EXPECT_EQ(Out()["revision"], 5);
  EXPECT_EQ(Out()["transaction"], 8);
  EXPECT_EQ(Out()["durableTransaction"], 7);
}

TEST_F(CliTest, InsertFromLinesGoesInBatchesAndNamesTheLineThatFailed) {
  std::string lines;
  for (int i = 0; i < 65536 + 10; ++i) lines += std::to_string(i) + " " + std::to_string(i + 7) + "\n";
  insert_script_.Set({grpc::Status::OK, ServiceError(grpc::StatusCode::ALREADY_EXISTS, "CBLOCK_IN_USE",
                                                     "cblock 65539 is in use", {{"item", "3"}})});
  EXPECT_EQ(Run({"mapping", "insert", "c", "-", "--request-id", "r", "--json"}, lines), 1);
  ASSERT_EQ(inserts_.size(), 2u);
  EXPECT_THAT(inserts_[0].cblocks(), SizeIs(65536));
  EXPECT_THAT(inserts_[1].cblocks(), SizeIs(10));
  EXPECT_EQ(inserts_[0].options().request_id(), "r");
  EXPECT_EQ(inserts_[1].options().request_id(), "r.1");
  const nlohmann::json error = nlohmann::json::parse(err_);
  EXPECT_EQ(error["code"], "ALREADY_EXISTS");
  EXPECT_EQ(error["reason"], "CBLOCK_IN_USE");
  EXPECT_EQ(error["message"], "line 65540: cblock 65539 is in use (65536 lines were applied)");
  EXPECT_EQ(out_, "");
}

TEST_F(CliTest, RemoveLooksPlainCblocksUpFirst) {
  ASSERT_EQ(Run({"mapping", "remove", "c", "4", "7:70", "6"}), 0) << err_;
  ASSERT_EQ(removes_.size(), 1u);
  EXPECT_THAT(removes_[0].cblocks(), ElementsAre(4, 7, 6));
  EXPECT_THAT(removes_[0].oblocks(), ElementsAre(1004, 70, 1006));
  EXPECT_THAT(out_, StartsWith("Removed 3 mappings of c (revision 5, transaction 8"));
  EXPECT_EQ(Run({"mapping", "remove", "c", "4", "5"}), 1);
  EXPECT_EQ(err_, "dmcachectl: cblock 5 is not mapped (NOT_MAPPED)\n");
  EXPECT_EQ(removes_.size(), 1u);
}

TEST_F(CliTest, ARepeatableRemoveOrCleanTakesNoPlainCblocks) {
  for (const char* command : {"remove", "clean"}) {
    EXPECT_EQ(Run({"mapping", command, "c", "7:70", "4", "--request-id", "r"}), 2) << command;
    EXPECT_THAT(err_, HasSubstr("\"4\" is not CBLOCK:OBLOCK; with --request-id a plain cblock will not do"));
  }
  EXPECT_EQ(Run({"mapping", "remove", "c", "-", "--request-id", "r"}, "7 70\n4\n"), 1);
  EXPECT_THAT(err_, HasSubstr("line 2: \"4\" is not CBLOCK:OBLOCK; with --request-id"));
  EXPECT_EQ(removes_.size(), 0u);
  ASSERT_EQ(Run({"mapping", "remove", "c", "7:70", "--request-id", "r", "--incarnation", "cd", "--json"}), 0) << err_;
  ASSERT_EQ(removes_.size(), 1u);
  EXPECT_EQ(removes_[0].options().request_id(), "r");
  EXPECT_EQ(removes_[0].options().incarnation(), 0xcdu);
  EXPECT_EQ(Out()["incarnation"], "00000000000000ab");
}

TEST_F(CliTest, RemoveSaysHowManyEvenIfNone) {
  daemon_.metadata.on_RemoveMappings = [](grpc::ServerContext*, const v1::RemoveMappingsRequest&,
                                          v1::RemoveMappingsResponse&) { return grpc::Status::OK; };
  ASSERT_EQ(Run({"mapping", "remove", "c", "7:70", "--json"}), 0) << err_;
  EXPECT_EQ(Out()["removedCount"], 0);
}

TEST_F(CliTest, WhatIsUnknownIsAbsent) {
  ASSERT_EQ(Run({"cache", "show", "c", "--json"}), 0) << err_;
  EXPECT_FALSE(Out().contains("originSizeSectors"));
  daemon_.cache.on_GetCache = [](grpc::ServerContext*, const v1::GetCacheRequest&, v1::GetCacheResponse& answer) {
    answer.mutable_cache()->set_name("c");
    answer.mutable_cache()->set_state(v1::Cache::STATE_FAILED);
    answer.mutable_cache()->set_last_error("no such file");
    return grpc::Status::OK;
  };
  ASSERT_EQ(Run({"cache", "show", "c", "--json"}), 0) << err_;
  EXPECT_EQ(Out()["state"], "failed");
  EXPECT_EQ(Out()["lastError"], "no such file");
  for (const char* unknown : {"version", "cleanShutdown", "cacheBlocks", "mappedBlocks", "incarnation"}) {
    EXPECT_FALSE(Out().contains(unknown)) << unknown;
  }
  ASSERT_EQ(Run({"cache", "show", "c"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("no such file"));
  EXPECT_THAT(out_, testing::Not(HasSubstr("cache blocks")));
}

TEST_F(CliTest, LongInputDrawsABarOnATerminalOnly) {
  std::string lines;
  for (int i = 0; i < 65536 * 2; ++i) lines += std::to_string(i) + " " + std::to_string(i) + "\n";
  for (const bool terminal : {true, false}) {
    std::istringstream in(lines);
    std::ostringstream out;
    std::ostringstream err;
    ASSERT_EQ(cli::Run({"mapping", "insert", "c", "-", "--address", daemon_.address()}, in, out, err, terminal), 0);
    EXPECT_THAT(out.str(), StartsWith("Inserted 131072 mappings of c"));
    if (terminal) {
      EXPECT_THAT(err.str(), StartsWith("\r["));
      EXPECT_THAT(err.str(), HasSubstr("65536 mappings of c"));
    } else {
      EXPECT_EQ(err.str(), "");
    }
  }
}

TEST_F(CliTest, RemoveTakesOblockRangesWithBothEnds) {
  ASSERT_EQ(Run({"mapping", "remove", "c", "--oblocks", "10-19", "--discard-dirty", "--json"}), 0) << err_;
  ASSERT_EQ(removes_.size(), 1u);
  EXPECT_EQ(removes_[0].oblock_range().begin(), 10u);
  EXPECT_EQ(removes_[0].oblock_range().end(), 20u);
  EXPECT_TRUE(removes_[0].discard_dirty());
  EXPECT_EQ(Out()["removedCount"], 0);
}

TEST_F(CliTest, ErrorsAreOneSentenceOrOneObject) {
  EXPECT_EQ(Run({"cache", "show", "other"}), 1);
  EXPECT_EQ(err_, "dmcachectl: cache \"other\" is not open (CACHE_NOT_OPEN)\n");
  EXPECT_EQ(Run({"cache", "show", "other", "--json"}), 1);
  EXPECT_EQ(err_,
            "{\"code\":\"NOT_FOUND\",\"reason\":\"CACHE_NOT_OPEN\",\"message\":\"cache \\\"other\\\" is not open\"}\n");
  EXPECT_EQ(out_, "");
}

TEST_F(CliTest, HealthHasItsExitCodes) {
  daemon_.health.on_Check = [](grpc::ServerContext*, const grpc::health::v1::HealthCheckRequest& request,
                               grpc::health::v1::HealthCheckResponse& answer) {
    answer.set_status(request.service().empty() ? grpc::health::v1::HealthCheckResponse::SERVING
                                                : grpc::health::v1::HealthCheckResponse::NOT_SERVING);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"health"}), 0);
  EXPECT_EQ(out_, "serving\n");
  EXPECT_EQ(Run({"health", "--service", "cache/c", "--json"}), 1);
  EXPECT_EQ(out_, "{\"service\":\"cache/c\",\"status\":\"not_serving\"}\n");
  daemon_.Stop();
  EXPECT_EQ(Run({"health"}), 3);
}

TEST_F(CliTest, ExitCodeIsThreeWhenNobodyAnswers) {
  daemon_.Stop();
  EXPECT_EQ(Run({"cache", "list"}), 3);
  EXPECT_THAT(err_, StartsWith("dmcachectl: cannot connect to unix:"));
}

TEST_F(CliTest, EveryCommandShowsAnExample) {
  const std::vector<std::vector<std::string>> commands = {{"info"},
                                                          {"plan"},
                                                          {"probe"},
                                                          {"health"},
                                                          {"commit"},
                                                          {"cache", "create"},
                                                          {"cache", "open"},
                                                          {"cache", "close"},
                                                          {"cache", "delete"},
                                                          {"cache", "list"},
                                                          {"cache", "show"},
                                                          {"cache", "resize"},
                                                          {"mapping", "reserve"},
                                                          {"mapping", "release"},
                                                          {"mapping", "insert"},
                                                          {"mapping", "remove"},
                                                          {"mapping", "lookup"},
                                                          {"mapping", "list"},
                                                          {"mapping", "dirty"},
                                                          {"mapping", "clean"},
                                                          {"discard", "set"},
                                                          {"discard", "clear"},
                                                          {"discard", "list"},
                                                          {"hint", "begin"},
                                                          {"hint", "save"},
                                                          {"hint", "list"},
                                                          {"stats", "show"},
                                                          {"stats", "set"}};
  for (std::vector<std::string> command : commands) {
    std::string name = "dmcachectl";
    for (const std::string& word : command) name += " " + word;
    command.emplace_back("--help");
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(cli::Run(command, in, out, err), 0) << name;
    const std::string help = out.str();
    const size_t example = help.find("Example:\n  " + name);
    EXPECT_NE(example, std::string::npos) << help;
    EXPECT_THAT(help, HasSubstr("--json"));
  }
}

std::vector<std::string> WithHelp(std::vector<std::string> command) {
  command.emplace_back("--help");
  return command;
}

TEST_F(CliTest, EveryMutatingCommandTakesDurableAndRequestId) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"cache", "resize"},
                                                                                       {"mapping", "insert"},
                                                                                       {"mapping", "remove"},
                                                                                       {"mapping", "dirty"},
                                                                                       {"mapping", "clean"},
                                                                                       {"discard", "set"},
                                                                                       {"discard", "clear"},
                                                                                       {"hint", "begin"},
                                                                                       {"hint", "save"},
                                                                                       {"stats", "set"},
                                                                                       {"commit"}}) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(cli::Run(WithHelp(command), in, out, err), 0);
    EXPECT_THAT(out.str(), HasSubstr("--durable")) << command.back();
    EXPECT_THAT(out.str(), HasSubstr("--request-id")) << command.back();
  }
}

}  // namespace
}  // namespace dmcached::cli
