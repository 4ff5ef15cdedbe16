#include "telemetry/hook/hook_arguments.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "policy/resource/address.h"
#include "telemetry/event/hook_text.h"
#include "telemetry/event/json.h"
#include "telemetry/hook/hook_names.h"
#include "tests/unit/telemetry_hook/hook_records.h"

namespace sluice::telemetry {
namespace {

using policy::tracing::ArgType;

sl_addr Addr(const char* text) { return policy::Address::Parse(text)->abi(); }

v1::HookArgument Make(ArgType type, const HookBytes& bytes, std::uint8_t size = 4, std::uint8_t flags = 0) {
  const auto record = DecodeHookRecord(bytes.bytes());
  EXPECT_TRUE(record.ok()) << record.status();
  policy::tracing::Argument wanted;
  wanted.type = type;
  sl_hook_argument how{};
  how.size = size;
  how.flags = flags;
  return MakeHookArgument(record->arguments.at(0), wanted, how);
}

// As JSON, and as text for people.
void Expect(const v1::HookArgument& argument, const std::string& json, const std::string& text) {
  EXPECT_EQ(ToJson(argument).value(), json);
  EXPECT_EQ(HookArgumentText(argument), text);
}

TEST(HookArguments, Numbers) {
  constexpr std::uint8_t kSigned = SL_HOOK_ARGUMENT_SIGNED;
  const HookBytes minus = HookBytes({}).Number(static_cast<std::uint64_t>(-100));
  Expect(Make(ArgType::kInt, minus, 4, kSigned), R"({"type":"int","int32Value":-100})", "-100");
  Expect(Make(ArgType::kInt64, minus, 8, kSigned), R"({"type":"int64","int64Value":"-100"})", "-100");
  const HookBytes large = HookBytes({}).Number(UINT64_MAX);
  Expect(Make(ArgType::kUint64, large, 8), R"({"type":"uint64","uint64Value":"18446744073709551615"})",
         "18446744073709551615");
  Expect(Make(ArgType::kUint32, HookBytes({}).Number(UINT32_MAX)), R"({"type":"uint32","uint32Value":4294967295})",
         "4294967295");
  Expect(Make(ArgType::kCapability, HookBytes({}).Number(13)),
         R"({"type":"capability","uint32Value":13,"name":"CAP_NET_RAW"})", "CAP_NET_RAW");
  Expect(Make(ArgType::kBpfCmd, HookBytes({}).Number(5)),
         R"({"type":"bpf_cmd","uint32Value":5,"name":"BPF_PROG_LOAD"})", "BPF_PROG_LOAD");
}

#if defined(__x86_64__)
TEST(HookArguments, SystemCalls) {
  Expect(Make(ArgType::kSyscall64, HookBytes({}).Number(257), 8),
         R"({"type":"syscall64","uint64Value":"257","name":"openat"})", "openat");
  EXPECT_EQ(SyscallName(100'000), "100000");
  EXPECT_EQ(SyscallName(UINT64_MAX), std::to_string(UINT64_MAX));
}
#endif

TEST(HookArguments, Texts) {
  Expect(Make(ArgType::kString, HookBytes({}).Text(SL_HOOK_READ_STRING, "a \xff")),
         R"({"type":"string","text":"a \\xff"})", R"("a \\xff")");
  Expect(Make(ArgType::kCharBuf,
              HookBytes({}).Text(SL_HOOK_READ_BYTES, "hi\n", 0, SL_HOOK_VALUE_READ | SL_HOOK_VALUE_TRUNCATED)),
         R"({"type":"char_buf","bytesValue":"aGkK","truncated":true})", R"("hi\x0a"...)");
  Expect(Make(ArgType::kString, HookBytes({}).Text(SL_HOOK_READ_STRING, "")), R"({"type":"string","text":""})", "\"\"");
  Expect(Make(ArgType::kString, HookBytes({}).Unread(SL_HOOK_READ_STRING)), R"({"type":"string"})", "?");
}

TEST(HookArguments, Files) {
  Expect(Make(ArgType::kFile, HookBytes({}).Text(SL_HOOK_READ_FILE, "/etc/shadow", 0100640)),
         R"({"type":"file","file":{"path":"/etc/shadow","permissions":"-rw-r-----"}})", "/etc/shadow");
  Expect(Make(ArgType::kFd, HookBytes({}).Text(SL_HOOK_READ_FD, "/tmp/x", 3)),
         R"({"type":"fd","file":{"path":"/tmp/x"}})", "/tmp/x");
  constexpr std::uint8_t kPart = SL_HOOK_VALUE_READ | SL_HOOK_VALUE_TRUNCATED | SL_HOOK_VALUE_DETACHED;
  Expect(Make(ArgType::kPath, HookBytes({}).Text(SL_HOOK_READ_PATH, "b/c", 0, kPart)),
         R"({"type":"path","file":{"path":"b/c","detached":true},"truncated":true})", "...b/c");
}

TEST(HookArguments, Sockets) {
  sl_hook_socket socket{};
  socket.source = Addr("10.1.0.2");
  socket.destination = Addr("10.1.0.3");
  socket.source_port = 40112;
  socket.destination_port = 5432;
  socket.family = AF_INET;
  socket.protocol = 6;
  socket.type = SOCK_STREAM;
  socket.state = 2;
  socket.cookie = 77;
  Expect(Make(ArgType::kSock, HookBytes({}).Struct(SL_HOOK_READ_SOCK, socket)),
         R"({"type":"sock","socket":{"family":"AF_INET","type":"SOCK_STREAM","protocol":"IPPROTO_TCP",)"
         R"("state":"TCP_SYN_SENT","source":"10.1.0.2","sourcePort":40112,"destination":"10.1.0.3",)"
         R"("destinationPort":5432,"mark":0,"priority":0,"cookie":"77"}})",
         "10.1.0.2:40112->10.1.0.3:5432 TCP");
  sl_hook_socket packet{};
  packet.source = Addr("fd00::2");
  packet.destination = Addr("fd00::3");
  packet.destination_port = 53;
  packet.family = AF_INET6;
  packet.protocol = 17;
  packet.length = 60;
  Expect(Make(ArgType::kSkb, HookBytes({}).Struct(SL_HOOK_READ_SKB, packet)),
         R"({"type":"skb","socket":{"family":"AF_INET6","protocol":"IPPROTO_UDP","source":"fd00::2","sourcePort":0,)"
         R"("destination":"fd00::3","destinationPort":53,"mark":0,"priority":0,"length":60}})",
         "[fd00::2]:0->[fd00::3]:53 UDP");
  Expect(Make(ArgType::kSockaddr, HookBytes({}).Struct(SL_HOOK_READ_SOCKADDR, socket)),
         R"({"type":"sockaddr","address":{"family":"AF_INET","address":"10.1.0.2","port":40112}})", "10.1.0.2:40112");
  Expect(Make(ArgType::kSockaddrUn, HookBytes({}).Text(SL_HOOK_READ_SOCKADDR_UNIX, "/run/x")),
         R"({"type":"sockaddr_un","address":{"family":"AF_UNIX","path":"/run/x"}})", "/run/x");
}

TEST(HookArguments, CredentialsAndCapabilities) {
  sl_hook_cred cred{.uid = 1000, .euid = 0, .effective = 1U << 21U};
  const v1::HookArgument made = Make(ArgType::kCred, HookBytes({}).Struct(SL_HOOK_READ_CRED, cred));
  EXPECT_EQ(made.credentials().uid(), 1000U);
  EXPECT_EQ(made.credentials().effective().mask(), "0000000000200000");
  EXPECT_EQ(made.credentials().effective().names(0), "CAP_SYS_ADMIN");
  EXPECT_EQ(HookArgumentText(made), "uid=1000 euid=0 gid=0 egid=0 effective=0000000000200000");
  const HookBytes set = HookBytes({}).Text(SL_HOOK_READ_CAPABILITIES, "", 0x3001);
  Expect(Make(ArgType::kCapPermitted, set),
         R"({"type":"cap_permitted","capabilities":{"mask":"0000000000003001","names":["CAP_CHOWN","CAP_NET_ADMIN",)"
         R"("CAP_NET_RAW"]}})",
         "CAP_CHOWN+CAP_NET_ADMIN+CAP_NET_RAW");
}

TEST(HookArguments, ObjectsOfTheKernel) {
  Expect(Make(ArgType::kBpfMap, HookBytes({}).Text(SL_HOOK_READ_BPF_MAP, "calls", 9)),
         R"({"type":"bpf_map","object":{"name":"calls","kind":"BPF_MAP_TYPE_LRU_HASH"}})",
         "BPF_MAP_TYPE_LRU_HASH calls");
  Expect(Make(ArgType::kBpfAttr, HookBytes({}).Text(SL_HOOK_READ_BPF_PROGRAM, "p", 2)),
         R"({"type":"bpf_attr","object":{"name":"p","kind":"BPF_PROG_TYPE_KPROBE"}})", "BPF_PROG_TYPE_KPROBE p");
  Expect(Make(ArgType::kModule, HookBytes({}).Text(SL_HOOK_READ_MODULE, "nf_tables")),
         R"({"type":"module","object":{"name":"nf_tables"}})", "nf_tables");
  Expect(Make(ArgType::kPerfEvent, HookBytes({}).Text(SL_HOOK_READ_PERF_EVENT, "", 2)),
         R"({"type":"perf_event","object":{"kind":"PERF_TYPE_TRACEPOINT"}})", "PERF_TYPE_TRACEPOINT");
  Expect(Make(ArgType::kUserNamespace, HookBytes({}).Text(SL_HOOK_READ_USER_NAMESPACE, "", 4026531837)),
         R"({"type":"user_namespace","object":{"namespace":4026531837}})", "user:[4026531837]");
  Expect(Make(ArgType::kNetDevice, HookBytes({}).Text(SL_HOOK_READ_NET_DEVICE, "eth0")),
         R"({"type":"net_device","object":{"name":"eth0"}})", "eth0");
}

TEST(HookArguments, OfAReturnOnlyNumbersAreShown) {
  policy::tracing::Argument wanted;
  wanted.type = ArgType::kInt;
  sl_hook_argument how{};
  how.read = SL_HOOK_READ_NUMBER;
  how.size = 4;
  how.flags = SL_HOOK_ARGUMENT_SIGNED;
  EXPECT_EQ(MakeReturnValue(-13, wanted, how).int32_value(), -13);
  how.read = SL_HOOK_READ_SOCK;
  EXPECT_EQ(MakeReturnValue(-131941395333120, wanted, how).value_case(), v1::HookArgument::VALUE_NOT_SET)
      << "no address of the kernel";
}

TEST(HookNames, NumbersWithoutANameAreShown) {
  EXPECT_EQ(FamilyName(1), "AF_UNIX");
  EXPECT_EQ(FamilyName(999), "999");
  EXPECT_EQ(ProtocolName(17), "IPPROTO_UDP");
  EXPECT_EQ(TcpStateName(12), "TCP_NEW_SYN_RECV");
  EXPECT_EQ(SocketTypeName(2), "SOCK_DGRAM");
  EXPECT_EQ(SocketTypeName(10), "SOCK_PACKET");
  EXPECT_EQ(SocketTypeName(7), "7");
  EXPECT_EQ(BpfCommandName(28), "BPF_LINK_CREATE");
  EXPECT_EQ(BpfCommandName(UINT64_MAX), std::to_string(UINT64_MAX));
  EXPECT_EQ(ErrorName(-13), "EACCES");
  EXPECT_EQ(ErrorName(2), "ENOENT");
  EXPECT_EQ(ErrorName(-100000), "-100000");
  EXPECT_EQ(ErrorName(INT64_MIN + 1), std::to_string(INT64_MIN + 1));
}

TEST(HookNames, PermissionsAreAsInLs) {
  EXPECT_EQ(PermissionsText(0100644), "-rw-r--r--");
  EXPECT_EQ(PermissionsText(0104755), "-rwsr-xr-x");
  EXPECT_EQ(PermissionsText(0102644), "-rw-r-Sr--");
  EXPECT_EQ(PermissionsText(0041777), "drwxrwxrwt");
  EXPECT_EQ(PermissionsText(0140000), "s---------");
}

}  // namespace
}  // namespace sluice::telemetry
