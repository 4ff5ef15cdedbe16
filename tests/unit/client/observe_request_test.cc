// The options of `observe` as a request, and the time formats that users type.
#include "ctrl/sluice/observe_request.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>

#include "ctrl/sluice/observe_filters.h"
#include "ctrl/sluice/time_point.h"

namespace sluice::client {
namespace {

using google::protobuf::util::TimeUtil;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const auto kNow = std::chrono::system_clock::from_time_t(1772600000);  // 2026-03-04T04:53:20Z

StatusOr<v1::ObserveRequest> Ask(const ObserveOptions& options) { return ToRequest(options, kNow); }

v1::ObserveRequest Asked(const ObserveOptions& options) {
  const auto request = Ask(options);
  EXPECT_TRUE(request.ok()) << request.status();
  return request.ok() ? *request : v1::ObserveRequest();
}

TEST(ToRequest, TheLastTwentyUnlessMoreIsAskedFor) {
  EXPECT_EQ(Asked({}).last(), 20U);
  EXPECT_EQ(Asked({.last = 5}).last(), 5U);
  EXPECT_EQ(Asked({.last = 0}).last(), 0U) << "all";
  EXPECT_EQ(Asked({.all = true}).last(), 0U);
  EXPECT_EQ(Asked({.since = "5m"}).last(), 0U) << "all since then";
  EXPECT_EQ(Asked({.follow = true}).last(), 0U) << "none of the past";
  EXPECT_EQ(Asked({.follow = true, .all = true}).last(), UINT32_MAX);
  EXPECT_FALSE(Ask({.last = 5, .all = true}).ok());
}

TEST(ToRequest, ForksAndTheHostsProcessesOnlyWhenAskedFor) {
  EXPECT_TRUE(Asked({}).filter().without_forks());
  EXPECT_TRUE(Asked({}).filter().without_host());
  EXPECT_FALSE(Asked({.host = true}).filter().without_host());
  const auto all = Asked({.conditions = {{"--type", "all"}}});
  EXPECT_FALSE(all.filter().without_forks());
  EXPECT_THAT(all.filter().types(), IsEmpty());
}

TEST(ToRequest, TetragonsFormAsksForWhatItHas) {
  const auto asked = Asked({.output = "tetragon-json"});
  EXPECT_TRUE(asked.with_parents());
  EXPECT_THAT(asked.filter().types(), ElementsAre("exec", "exit", "hook"));
  const auto hooks = Asked({.conditions = {{"--type", "hook"}}, .output = "tetragon-json"});
  EXPECT_THAT(hooks.filter().types(), ElementsAre("hook"));
  EXPECT_FALSE(Asked({.output = "json"}).with_parents());
  EXPECT_THAT(Asked({.output = "json"}).filter().types(), IsEmpty());
}

TEST(ToRequest, FalcosFormAsksForDetections) {
  EXPECT_THAT(Asked({.output = "falco-json"}).filter().types(), ElementsAre("detection"));
}

TEST(ToRequest, EveryFilter) {
  const auto request = Asked({.conditions = {{"--type", "flow,exec"},
                                             {"--verdict", "dropped"},
                                             {"--verdict", "AUDIT"},
                                             {"--namespace", "shop,bank"},
                                             {"--workload", "shop/web-0"},
                                             {"--from", "app in (web,api)"},
                                             {"--to", "world"},
                                             {"--ip", "10.0.0.0/8,fd00::1"},
                                             {"--port", "5432/tcp,53"},
                                             {"--protocol", "TCP"},
                                             {"--label", "tier!=db,app"},
                                             {"--policy", "shop/db"},
                                             {"--drop-reason", "policy_denied"},
                                             {"--process", "/usr/bin/*"}}});
  const auto& filter = request.filter();
  EXPECT_THAT(filter.types(), ElementsAre("flow", "exec"));
  EXPECT_THAT(filter.verdicts(), ElementsAre(v1::Flow::DROPPED, v1::Flow::AUDIT));
  EXPECT_THAT(filter.namespaces(), ElementsAre("shop", "bank"));
  EXPECT_THAT(filter.workloads(), ElementsAre("shop/web-0"));
  EXPECT_THAT(filter.from(), ElementsAre("app in (web,api)")) << "no list";
  EXPECT_THAT(filter.to(), ElementsAre("world"));
  EXPECT_THAT(filter.ips(), ElementsAre("10.0.0.0/8", "fd00::1"));
  ASSERT_EQ(filter.ports_size(), 2);
  EXPECT_EQ(filter.ports(0).port(), 5432U);
  EXPECT_EQ(filter.ports(0).protocol(), "tcp");
  EXPECT_EQ(filter.ports(1).port(), 53U);
  EXPECT_EQ(filter.ports(1).protocol(), "");
  EXPECT_THAT(filter.protocols(), ElementsAre("TCP"));
  EXPECT_THAT(filter.labels(), ElementsAre("tier!=db,app"));
  EXPECT_THAT(filter.policies(), ElementsAre("shop/db"));
  EXPECT_THAT(filter.drop_reasons(), ElementsAre("policy_denied"));
  EXPECT_THAT(filter.processes(), ElementsAre("/usr/bin/*"));
  EXPECT_THAT(request.except(), IsEmpty());
}

TEST(ToRequest, EachNegatedFlagLeavesOutByItself) {
  const auto request =
      Asked({.conditions = {{"--port", "53", true}, {"--type", "flow"}, {"--verdict", "FORWARDED", true}}});
  EXPECT_THAT(request.filter().types(), ElementsAre("flow"));
  ASSERT_EQ(request.except_size(), 2);
  EXPECT_EQ(request.except(0).ports(0).port(), 53U);
  EXPECT_THAT(request.except(1).verdicts(), ElementsAre(v1::Flow::FORWARDED));
  EXPECT_FALSE(Ask({.dangling_not = true}).ok());
}

TEST(ToRequest, WithANamespaceAWorkloadsNameIsEnough) {
  const auto request = Asked({.conditions = {{"--workload", "web-0,bank/db"}, {"--namespace", "shop"}}});
  EXPECT_THAT(request.filter().workloads(), ElementsAre("shop/web-0", "bank/db"));
  EXPECT_FALSE(Ask({.conditions = {{"--workload", "web-0"}, {"--namespace", "shop,bank"}}}).ok());
  EXPECT_FALSE(Ask({.all_namespaces = true, .conditions = {{"--namespace", "shop"}}}).ok());
}

TEST(ToRequest, Times) {
  const auto request = Asked({.since = "1h30m", .until = "2026-03-04T06:00:00.5+01:00"});
  EXPECT_EQ(TimeUtil::ToString(request.since()), "2026-03-04T03:23:20Z");
  EXPECT_EQ(TimeUtil::ToString(request.until()), "2026-03-04T05:00:00.500Z");
  EXPECT_THAT(Message(Ask({.since = "yesterday"}).status()), HasSubstr("--since: yesterday: expected a time as"));
  EXPECT_FALSE(Ask({.since = "-5m"}).ok());
  EXPECT_FALSE(Ask({.since = "1m", .until = "5m"}).ok()) << "until before since";
}

TEST(ToRequest, RefusalsNameTheFlag) {
  for (const Condition& wrong : std::vector<Condition>{{"--verdict", "maybe"},
                                                       {"--verdict", "VERDICT_UNSPECIFIED"},
                                                       {"--workload", "web-0"},
                                                       {"--workload", "/web-0"},
                                                       {"--workload", "shop/"},
                                                       {"--type", "nothing"},
                                                       {"--port", "70000"},
                                                       {"--port", "0"},
                                                       {"--port", "80/GRE"},
                                                       {"--protocol", "x"},
                                                       {"--ip", "10.0.0"},
                                                       {"--from", "web"},
                                                       {"--to", ""},
                                                       {"--label", "=x"},
                                                       {"--policy", "a/b/c"},
                                                       {"--drop-reason", "NONE"},
                                                       {"--namespace", "Shop"},
                                                       {"--process", "*/date"}}) {
    const Status status = Ask({.conditions = {wrong}}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong.flag << " " << wrong.value;
    EXPECT_THAT(Message(status), testing::StartsWith(wrong.flag + ": ")) << wrong.value;
  }
  EXPECT_THAT(Message(Ask({.conditions = {{"--verdict", "droped"}}}).status()), HasSubstr("did you mean DROPPED?"));
}

TEST(FilterFlags, AreFoundByTheirLongNames) {
  for (const FilterFlag& flag : FilterFlags()) EXPECT_EQ(FindFilterFlag(LongName(flag)), &flag);
  EXPECT_EQ(FindFilterFlag("--frob"), nullptr);
}

}  // namespace
}  // namespace sluice::client
