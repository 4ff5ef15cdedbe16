#include "ctrl/hubble/hubble_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::hubble {
namespace {

using ::testing::HasSubstr;

TEST(HubblePeers, ANameAndAnAddress) {
  const auto peer = ParsePeer("node-2=192.0.2.7:4244");
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->name, "node-2");
  EXPECT_EQ(peer->address, "192.0.2.7:4244");
  EXPECT_TRUE(ParsePeer("n=[2001:db8::7]:4244").ok());
  EXPECT_TRUE(ParsePeer("n=unix:///run/hubble.sock").ok());
  for (const char* wrong : {"", "node-2", "=192.0.2.7:4244", "n=", "n=192.0.2.7", "n=192.0.2.7:0", "n=192.0.2.7:65536",
                            "n=:4244", "n=192.0.2.7:http"}) {
    EXPECT_EQ(ParsePeer(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

TEST(HubblePeers, TheNameInACertificate) {
  EXPECT_EQ(TlsServerName("node-1", "default"), "node-1.default.hubble-grpc.cilium.io");
  EXPECT_EQ(TlsServerName("ip-10-0-0-1.eu.internal", "prod.eu"),
            "ip-10-0-0-1-eu-internal.prod-eu.hubble-grpc.cilium.io");
}

TEST(HubblePeers, AnAddressThatOthersCanReach) {
  for (const char* good : {"192.0.2.7:4244", "[2001:db8::7]:4244", "node-1.example:4244", "unix:///run/hubble.sock"}) {
    EXPECT_TRUE(CheckAdvertised(good).ok()) << good;
  }
  for (const char* wrong : {"0.0.0.0:4244", "[::]:4244", ":4244", "192.0.2.7"}) {
    EXPECT_FALSE(CheckAdvertised(wrong).ok()) << wrong;
  }
  EXPECT_THAT(Message(CheckAdvertised("0.0.0.0:4244")), HasSubstr("--hubble-advertise"));
}

}  // namespace
}  // namespace sluice::hubble
