#include "ctrl/web/event_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/telemetry_hubble/flows.h"

namespace sluice::web {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EventQuery, Conditions) {
  const auto query = ParseEventQuery({{"type", "flow,exec"},
                                      {"verdict", "DROPPED"},
                                      {"namespace", "shop"},
                                      {"port", "80,443"},
                                      {"last", "5"},
                                      {"since", "1770000000000000001"},
                                      {"q", "Web-0"}});
  ASSERT_TRUE(query.ok()) << query.status();
  const auto& filter = query->request.filter();
  EXPECT_THAT(filter.types(), ElementsAre("flow", "exec"));
  EXPECT_THAT(filter.verdicts(), ElementsAre(v1::Flow::DROPPED));
  EXPECT_THAT(filter.namespaces(), ElementsAre("shop"));
  ASSERT_EQ(filter.ports_size(), 2);
  EXPECT_EQ(filter.ports(1).port(), 443U);
  EXPECT_EQ(query->last, 5U);
  EXPECT_EQ(query->request.since().seconds(), 1770000000);
  EXPECT_EQ(query->request.since().nanos(), 1);
  EXPECT_FALSE(query->request.has_until());
  EXPECT_EQ(query->text, "web-0");
}

TEST(EventQuery, BadValuesAreNamed) {
  const auto problem = [](const std::string& name, const std::string& value) {
    return Message(ParseEventQuery({{name, value}}).status());
  };
  EXPECT_EQ(problem("last", "0"), "last 0: expected a number from 1 to 1000");
  EXPECT_THAT(problem("last", "1001"), HasSubstr("1001"));
  EXPECT_THAT(problem("last", "5x"), HasSubstr("5x"));
  EXPECT_THAT(problem("since", "-1"), HasSubstr("since -1"));
  EXPECT_THAT(problem("port", "80,65536"), HasSubstr("port 65536"));
  EXPECT_THAT(problem("verdict", "MAYBE"), HasSubstr("verdict MAYBE: expected FORWARDED, DROPPED or AUDIT"));
  EXPECT_THAT(problem("verdict", "VERDICT_UNSPECIFIED"), HasSubstr("expected"));
  EXPECT_THAT(problem("folow", "1"), HasSubstr("folow: there is no such parameter"));
  EXPECT_THAT(problem("a\nb", "1"), HasSubstr("\"a\\x0ab\""));
  EXPECT_THAT(problem("q", std::string(257, 'x')), HasSubstr("at most 256 bytes"));
}

TEST(EventQuery, TextIsLookedForEverywhere) {
  const telemetry::EventPtr event = telemetry::EventOf(telemetry::WebToDb());
  for (const char* const text : {"", "shop/web", "db-0", "10.1.0.3", "psql", "networkpolicy", "front", "deployment"}) {
    EXPECT_TRUE(Contains(*event, text)) << text;
  }
  for (const char* const text : {"shop/db", "10.1.0.4", "curl"}) EXPECT_FALSE(Contains(*event, text)) << text;
}

}  // namespace
}  // namespace sluice::web
