#include "policy/resource/address.h"

#include <gtest/gtest.h>

#include <cstring>

namespace sluice::policy {
namespace {

Address A(std::string_view text) { return Address::Parse(text).value(); }
Prefix P(std::string_view text) { return Prefix::Parse(text).value(); }

TEST(AddressTest, ReadsAndWritesBothFamilies) {
  for (const char* text : {"0.0.0.0", "10.1.0.2", "255.255.255.255", "::", "::1", "fd00::2", "2001:db8:0:1:1:1:1:1"}) {
    EXPECT_EQ(A(text).ToString(), text);
  }
  EXPECT_EQ(A("FD00:0:0:0::0002").ToString(), "fd00::2");
  EXPECT_TRUE(A("10.1.0.2").is_v4());
  EXPECT_FALSE(A("::1").is_v4());
  EXPECT_FALSE(Address().is_v4());
}

TEST(AddressTest, RefusesWhatIsNoAddress) {
  const std::string_view hidden_by_nul("10.0.0.1\0.5", 11);
  for (std::string_view text :
       {std::string_view(""), std::string_view("10.0.0"), std::string_view("10.0.0.256"), std::string_view("10.0.0.01"),
        std::string_view(" 10.0.0.1"), std::string_view("10.0.0.1/8"), std::string_view("fe80::1%eth0"),
        std::string_view("1:2:3:4:5:6:7:8:9"), hidden_by_nul}) {
    const auto address = Address::Parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_NE(Message(address.status()).find(text), std::string::npos);
  }
}

TEST(AddressTest, RefusesMappedTextAndNamesTheIpv4Form) {
  const auto address = Address::Parse("::ffff:10.0.0.1");
  ASSERT_FALSE(address.ok());
  EXPECT_NE(Message(address.status()).find("write it as 10.0.0.1"), std::string::npos);
}

TEST(AddressTest, AbiFormIsMappedNetworkOrder) {
  const sl_addr abi = A("10.1.2.3").abi();
  const std::uint8_t expected[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
  EXPECT_EQ(std::memcmp(abi.bytes, expected, sizeof(expected)), 0);
  EXPECT_EQ(Address(abi), A("10.1.2.3"));
}

TEST(PrefixTest, ClearsHostBits) {
  EXPECT_EQ(P("10.1.2.3/8").ToString(), "10.0.0.0/8");
  EXPECT_EQ(P("10.1.2.255/27").ToString(), "10.1.2.224/27");
  EXPECT_EQ(P("255.255.255.255/0").ToString(), "0.0.0.0/0");
  EXPECT_EQ(P("10.1.2.3/32").ToString(), "10.1.2.3/32");
  EXPECT_EQ(P("2001:db8:ffff::1/33").ToString(), "2001:db8:8000::/33");
  EXPECT_EQ(P("ffff::/0").ToString(), "::/0");
}

TEST(PrefixTest, LengthsCountInBothForms) {
  EXPECT_EQ(P("10.0.0.0/8").length(), 8);
  EXPECT_EQ(P("10.0.0.0/8").mapped_length(), 104);
  EXPECT_EQ(P("0.0.0.0/0").mapped_length(), 96);
  EXPECT_EQ(P("::/0").mapped_length(), 0);
  EXPECT_EQ(Prefix::Host(A("10.0.0.1")).ToString(), "10.0.0.1/32");
  EXPECT_EQ(Prefix::Host(A("fd00::1")).ToString(), "fd00::1/128");
}

TEST(PrefixTest, ContainsWithinItsFamilyOnly) {
  EXPECT_TRUE(P("10.0.0.0/8").Contains(A("10.255.0.1")));
  EXPECT_FALSE(P("10.0.0.0/8").Contains(A("11.0.0.0")));
  EXPECT_TRUE(P("0.0.0.0/0").Contains(A("1.2.3.4")));
  EXPECT_FALSE(P("0.0.0.0/0").Contains(A("::1")));
  EXPECT_FALSE(P("::/0").Contains(A("1.2.3.4")));
  EXPECT_TRUE(P("::/0").Contains(A("fd00::1")));
  EXPECT_TRUE(P("10.0.0.0/8").Contains(P("10.0.0.0/8")));
  EXPECT_TRUE(P("10.0.0.0/8").Contains(P("10.7.0.0/16")));
  EXPECT_FALSE(P("10.7.0.0/16").Contains(P("10.0.0.0/8")));
  EXPECT_FALSE(P("::/0").Contains(P("0.0.0.0/0")));
}

TEST(PrefixTest, RefusesWhatIsNoCidr) {
  for (const char* text :
       {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8 ", "10.0.0/8",
        "/8", "::/129", "::ffff:10.0.0.0/104", "10.0.0.0/8/8", "10.0.0.0/99999999999"}) {
    const auto prefix = Prefix::Parse(text);
    ASSERT_FALSE(prefix.ok()) << text;
    EXPECT_NE(Message(prefix.status()).find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::policy
