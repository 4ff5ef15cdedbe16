// Records of system calls: decoding, and what their numbers and bytes mean.
#include "telemetry/calls/call_record.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "telemetry/calls/call_arguments.h"
#include "telemetry/calls/call_descriptor.h"
#include "telemetry/calls/call_names.h"
#include "telemetry/calls/user_names.h"

namespace sluice::telemetry {
namespace {

std::string BytesOf(const sl_call_event& event, const std::string& texts) {
  return std::string(reinterpret_cast<const char*>(&event), sizeof(event)) + texts;
}

TEST(CallRecord, TextsAreInTheirOrder) {
  sl_call_event event{};
  event.kind = SL_CALL_RENAME;
  event.lengths[SL_CALL_TEXT_FIRST] = 2;
  event.lengths[SL_CALL_TEXT_SECOND] = 3;
  event.lengths[SL_CALL_TEXT_FIRST_BASE] = 1;
  const auto record = DecodeCallRecord(BytesOf(event, "abcde/padding"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->text(SL_CALL_TEXT_FIRST), "ab");
  EXPECT_EQ(record->text(SL_CALL_TEXT_SECOND), "cde");
  EXPECT_EQ(record->text(SL_CALL_TEXT_FIRST_BASE), "/");
  EXPECT_EQ(record->text(SL_CALL_TEXT_NAME), "");
}

TEST(CallRecord, WhatIsNoRecordIsRefused) {
  sl_call_event event{};
  event.kind = SL_CALL_OPEN;
  const std::string right = BytesOf(event, "");
  EXPECT_TRUE(DecodeCallRecord(right).ok());
  EXPECT_FALSE(DecodeCallRecord(right.substr(1)).ok());
  event.lengths[SL_CALL_TEXT_DATA] = 5;
  EXPECT_FALSE(DecodeCallRecord(BytesOf(event, "four")).ok());
  event.lengths[SL_CALL_TEXT_DATA] = 0;
  event.kind = SL_CALL_NONE;
  EXPECT_FALSE(DecodeCallRecord(BytesOf(event, "")).ok());
  event.kind = SL_CALL_KIND_COUNT;
  EXPECT_FALSE(DecodeCallRecord(BytesOf(event, "")).ok());
  event.kind = SL_CALL_OPEN;
  event.file.descriptor = SL_CALL_DESCRIPTORS;
  EXPECT_FALSE(DecodeCallRecord(BytesOf(event, "")).ok());
}

TEST(CallRecord, PathsAreMeantFromTheirBase) {
  EXPECT_EQ(MeantPath("/a/b", "c"), "/a/b/c");
  EXPECT_EQ(MeantPath("/a/b", "/c"), "/c");
  EXPECT_EQ(MeantPath("/a/b", "../c/./d//e"), "/a/c/d/e");
  EXPECT_EQ(MeantPath("/a", "../../.."), "/");
  EXPECT_EQ(MeantPath("/", ""), "/");
  EXPECT_EQ(MeantPath("", "x"), "/x");
}

TEST(CallNames, FlagsAndNumbers) {
  EXPECT_EQ(OpenFlagNames(0), "O_RDONLY");
  EXPECT_EQ(OpenFlagNames(O_WRONLY | O_CREAT | O_TRUNC), "O_WRONLY|O_TRUNC|O_CREAT");
  EXPECT_EQ(OpenFlagNames(O_RDWR | O_TMPFILE), "O_RDWR|O_TMPFILE");
  EXPECT_EQ(OpenFlagNames(O_RDWR | O_SYNC), "O_RDWR|O_SYNC");
  EXPECT_EQ(OpenFlagNames(O_RDONLY | O_DSYNC), "O_RDONLY|O_DSYNC");
  EXPECT_EQ(CloneFlagNames(0x10000000), "CLONE_NEWUSER");
  EXPECT_EQ(CloneFlagNames(0), "0");
  EXPECT_EQ(ModeNames(04001), "S_IXOTH|S_ISUID");
  EXPECT_EQ(FamilyName(AF_PACKET), "AF_PACKET");
  EXPECT_EQ(FamilyName(4711), "4711");
  EXPECT_EQ(TraceRequestName(16), "PTRACE_ATTACH");
  EXPECT_EQ(TraceRequestName(0x4206), "PTRACE_SEIZE");
  EXPECT_EQ(BpfCallName(5), "BPF_PROG_LOAD");
}

template <typename Address>
std::string AddressBytes(const Address& address, std::size_t size = sizeof(Address)) {
  return {reinterpret_cast<const char*>(&address), size};
}

TEST(CallDescriptor, AddressesOfTheCaller) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(443);
  inet_pton(AF_INET, "10.1.2.3", &four.sin_addr);
  EXPECT_EQ(ToText(*ParseCallAddress(AddressBytes(four))), "10.1.2.3:443");
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(80);
  inet_pton(AF_INET6, "fd00::1", &six.sin6_addr);
  EXPECT_EQ(ToText(*ParseCallAddress(AddressBytes(six))), "[fd00::1]:80");
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::strcpy(local.sun_path, "/run/docker.sock");
  EXPECT_EQ(ToText(*ParseCallAddress(AddressBytes(local))), "/run/docker.sock");
  std::memcpy(local.sun_path, "\0hidden", 7);
  EXPECT_EQ(ParseCallAddress(AddressBytes(local, 2 + 7))->path, "@hidden");
  EXPECT_FALSE(ParseCallAddress("x"));
  EXPECT_EQ(ParseCallAddress(AddressBytes(four, 5))->port, 0);  // too short to have one
}

// A socket whose ends are known, of which the process is the client or the server.
CallRecord TcpRecord(sl_call_kind kind, std::uint32_t flags) {
  CallRecord record;
  record.event.kind = kind;
  auto& file = record.event.file;
  file.flags = static_cast<std::uint16_t>(SL_CALL_FILE_KNOWN | flags);
  file.descriptor = SL_CALL_OF_IPV4;
  file.protocol = IPPROTO_TCP;
  file.type = SOCK_STREAM;
  file.local = policy::Address::Parse("10.0.0.1")->abi();
  file.remote = policy::Address::Parse("10.0.0.2")->abi();
  file.local_port = 4000;
  file.remote_port = 80;
  return record;
}

TEST(CallDescriptor, TheEndThatConnectedIsTheClient) {
  const auto client = DescribeDescriptor(TcpRecord(SL_CALL_SENDTO, 0), {});
  EXPECT_EQ(client->descriptor.name, "10.0.0.1:4000->10.0.0.2:80");
  EXPECT_FALSE(client->descriptor.ends->local_is_server);
  const auto server = DescribeDescriptor(TcpRecord(SL_CALL_SENDTO, SL_CALL_FILE_SERVER), {});
  EXPECT_EQ(server->descriptor.name, "10.0.0.2:80->10.0.0.1:4000");
  EXPECT_TRUE(server->descriptor.ends->local_is_server);
  // The call itself knows better than how the port was bound.
  EXPECT_FALSE(
      DescribeDescriptor(TcpRecord(SL_CALL_CONNECT, SL_CALL_FILE_SERVER), {})->descriptor.ends->local_is_server);
  EXPECT_TRUE(DescribeDescriptor(TcpRecord(SL_CALL_ACCEPT, 0), {})->descriptor.ends->local_is_server);
}

TEST(CallDescriptor, NamesOfAddressesAreAskedFor) {
  const auto one = DescribeDescriptor(TcpRecord(SL_CALL_CONNECT, 0), [](const policy::Address& address) {
    return std::vector<std::string>{"name-of-" + address.ToString()};
  });
  EXPECT_EQ(one->descriptor.ends->server_names, std::vector<std::string>{"name-of-10.0.0.2"});
  EXPECT_EQ(one->descriptor.ends->client_names, std::vector<std::string>{"name-of-10.0.0.1"});
}

TEST(CallDescriptor, WhatWasNotOpenedHasItsMeantName) {
  CallRecord record;
  record.event.kind = SL_CALL_OPENAT;
  record.event.result = -ENOENT;
  record.texts[SL_CALL_TEXT_FIRST] = "../etc//shadow";
  record.texts[SL_CALL_TEXT_FIRST_BASE] = "/root";
  const auto one = DescribeDescriptor(record, {});
  EXPECT_EQ(one->descriptor.name, "/etc/shadow");
  EXPECT_EQ(one->descriptor.raw_name, "../etc//shadow");
  EXPECT_FALSE(one->descriptor.is_open);
  EXPECT_EQ(one->number, -1);
}

TEST(UserNames, OfTheHostsFiles) {
  const std::string root = testing::TempDir() + "user_names_test";
  std::filesystem::create_directories(root + "/etc");
  std::ofstream(root + "/etc/passwd") << "root:x:0:0:root:/root:/bin/bash\nbad line\nweb:x:33:44::/var/www:/bin/false\n"
                                      << "short:x:55\nnobody:x:not:1::/:/bin/sh\n";
  std::ofstream(root + "/etc/group") << "root:x:0:\nweb:x:44:a,b\n";
  UserNames names(root);
  policy::rules::Credentials who{.uid = 33, .gid = 44, .login_uid = 0};
  names.Fill(&who);
  EXPECT_EQ(who.user_name, "web");
  EXPECT_EQ(who.group_name, "web");
  EXPECT_EQ(who.login_name, "root");
  EXPECT_EQ(who.home, "/var/www");
  EXPECT_EQ(who.shell, "/bin/false");
  EXPECT_EQ(names.UserName(55), "short");
  EXPECT_EQ(names.UserName(77), "");
  UserNames::FillOfContainer(&who);
  EXPECT_EQ(who.user_name, "");
  EXPECT_EQ(who.login_name, "root");
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace sluice::telemetry
