/* SPDX-License-Identifier: MIT */
/* The commands of "xenpv net", and what their help says. */
#include "cmd_net.h"

#define HELP_TAKE_OVER                                                                             \
    "  --take-over             take the card from the kernel driver or process that holds it\n"

const struct command net_commands[] = {
    {.name = "net stats",
     .arguments = "VIF",
     .summary = "connect to a network card; what is negotiated, and what arrives",
     .help = "Connects to the network card, counts what arrives, and shows that with all that is\n"
             "negotiated with its backend.\n"
             "  --duration SECONDS      how long is counted (1)\n" HELP_TAKE_OVER,
     .options = OPTION_DURATION | OPTIONS_VIF,
     .least = 1,
     .most = 1,
     .run = net_stats},
    {.name = "net ping",
     .arguments = "VIF TARGET --address ADDR/PREFIX",
     .summary = "send echo requests to a host on the card's wire",
     .help =
         "Sends echo requests of ICMP or ICMPv6 to TARGET and tells which were answered, and\n"
         "when. It has the address meanwhile, and answers for it. Exit status 1 unless all\n"
         "came back.\n"
         "  --address ADDR/PREFIX   who asks, as 10.77.0.2/24 or fd77::2/64; TARGET is in the\n"
         "                          same net\n"
         "  --count N               how many (until a signal comes)\n"
         "  --interval MS           between two (1000); 0: each once the last was answered\n"
         "  --size BYTES            what each carries (56)\n"
         "  --timeout MS            how long to wait for an answer, too (1000)\n" HELP_TAKE_OVER,
     .options = OPTION_ADDRESS | OPTION_COUNT | OPTION_INTERVAL | OPTION_SIZE | OPTIONS_VIF,
     .least = 2,
     .most = 2,
     .run = net_ping},
    {.name = "net recv",
     .arguments = "VIF",
     .summary = "show or save the frames that arrive at a network card",
     .help = "Connects to the network card and prints a line for each frame that arrives.\n"
             "  --pcap FILE             write them to FILE instead, for tcpdump and Wireshark, as\n"
             "                          they come: large packets whole, blank checksums blank; -:\n"
             "                          to standard output, and nothing else there\n"
             "  --count N               end after N frames\n"
             "  --duration SECONDS      end then; with --count, it is an error if fewer "
             "came\n" HELP_TAKE_OVER,
     .options = OPTION_PCAP | OPTION_COUNT | OPTION_DURATION | OPTIONS_VIF,
     .least = 1,
     .most = 1,
     .run = net_recv},
    {.name = "net send",
     .arguments = "VIF --pcap FILE",
     .summary = "send the frames of a pcap file",
     .help = "Connects to the network card and sends the frames of a file, as fast as they are\n"
             "taken. TCP packets larger than the MTU are sent as such, or in segments where the\n"
             "backend wants that.\n"
             "  --pcap FILE             the file\n"
             "  --rate N                N frames a second\n"
             "  --repeat N              the whole file N times (1)\n" HELP_TAKE_OVER,
     .options = OPTION_PCAP | OPTION_RATE | OPTION_REPEAT | OPTIONS_VIF,
     .least = 1,
     .most = 1,
     .run = net_send},
    {.name = "net tap",
     .arguments = "VIF",
     .summary = "make a network card a network device of this Linux",
     .help = "Connects to the network card and joins it to a TAP device that has its address, its\n"
             "MTU and its carrier, until a signal comes. Its addresses, and whether it is up, are\n"
             "set as for any other: ip address add 10.77.0.2/24 dev xenpv0; ip link set xenpv0 up\n"
             "  --name NAME             of the device (xenpv0)\n" HELP_TAKE_OVER,
     .options = OPTION_NAME | OPTIONS_VIF,
     .least = 1,
     .most = 1,
     .run = net_tap},
    {.name = NULL},
};
