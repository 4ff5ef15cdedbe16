#include "ctrl/sluice/port.h"

#include <gtest/gtest.h>

namespace sluice::client {
namespace {

TEST(ParseProtocolPort, TakesWhatPeopleType) {
  const struct {
    const char* text;
    const char* protocol;
    int port;
  } cases[] = {{"80/TCP", "TCP", 80}, {"53/udp", "UDP", 53}, {"1/SCTP", "SCTP", 1},  {"65535/TCP", "TCP", 65535},
               {"5432", "TCP", 5432}, {"ICMP", "ICMP", 0},   {"icmpv6", "ICMPv6", 0}};
  for (const auto& expected : cases) {
    const auto parsed = ParseProtocolPort(expected.text);
    ASSERT_TRUE(parsed.ok()) << expected.text << ": " << parsed.status();
    EXPECT_EQ(parsed->protocol, expected.protocol) << expected.text;
    EXPECT_EQ(parsed->port, expected.port) << expected.text;
  }
}

TEST(ParseProtocolPort, RefusesWhatIsNoPort) {
  for (const char* text : {"", "/", "/TCP", "80/", "80/GRE", "0/TCP", "0", "65536/TCP", "-1/TCP", "+1", "80 /TCP",
                           "http", "TCP", "TCP/80", "80/TCP/UDP", "80/ICMP", "99999999999999999999"}) {
    const auto parsed = ParseProtocolPort(text);
    ASSERT_FALSE(parsed.ok()) << "\"" << text << "\" was taken";
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(sluice::Message(parsed.status()).find(text), std::string::npos) << parsed.status();
  }
}

}  // namespace
}  // namespace sluice::client
