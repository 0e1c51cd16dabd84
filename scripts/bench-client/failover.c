/* How long partitions cannot be written to when a broker goes: an idempotent producer over librdkafka
 * with its stock settings and acks=all, on every partition of a topic.
 *
 *   failover BOOTSTRAP TOPIC PARTITIONS INTERVAL_MS [NAME=VALUE ..]
 *
 * Further arguments are settings of librdkafka in place of its stock ones. Prints "running" once every partition has acknowledged a record. Then every line on standard input
 * is a mark: a record goes to every partition at once, and when each has acknowledged one that was
 * sent after the mark, one line of JSON is printed:
 *
 *   {"first":[MS, ..]}    from the mark to that acknowledgement, by partition
 *
 * At the end of the input all that was
 * sent is waited for and a last line says {"acknowledged":N,"failed":N}. Times are of the monotonic
 * clock. */

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 100, OUTSTANDING = 8, WAIT_MS = 120000 };

struct partition {
    double first;
    int has_acknowledged;
    int outstanding;
};

static struct partition *partitions;
static int count, answered;
static double mark = -1;
static long acknowledged, failed;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    exit(1);
}

/* Microseconds of the clock fit a pointer for as long as anybody's machine runs. */
static void *stamp(double ms) { return (void *)(intptr_t)(ms * 1e3); }

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->partition < 0 || message->partition >= count)
        die("delivery", "of a partition that was not asked for");
    struct partition *p = &partitions[message->partition];
    p->outstanding--;
    if (message->err) {
        if (failed++ == 0)
            fprintf(stderr, "first failure: %s\n", rd_kafka_err2str(message->err));
        return;
    }
    acknowledged++;
    double now = now_ms(), sent = (double)(intptr_t)message->_private / 1e3;
    if (!p->has_acknowledged && mark < 0)
        answered++;
    p->has_acknowledged = 1;
    if (mark >= 0 && p->first < 0 && sent >= mark) {
        p->first = now - mark;
        answered++;
    }
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[512];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        die(name, reason);
}

static rd_kafka_t *open_producer(const char *bootstrap, char **settings)
{
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "log_level", "0");
    set(conf, "queue.buffering.max.messages", "2000000");
    for (; *settings; settings++) {
        char *value = strchr(*settings, '=');
        if (!value)
            die(*settings, "expected NAME=VALUE");
        *value = 0;
        set(conf, *settings, value + 1);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!rk)
        die("client", reason);
    return rk;
}

static void put(rd_kafka_topic_t *topic, int number)
{
    static char payload[SIZE];
    if (rd_kafka_produce(topic, number, RD_KAFKA_MSG_F_COPY, payload, sizeof payload, NULL, 0,
                         stamp(now_ms())) == 0)
        partitions[number].outstanding++;
    else if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        die("produce", rd_kafka_err2str(rd_kafka_last_error()));
}

static void begin(rd_kafka_topic_t *topic)
{
    mark = now_ms();
    answered = 0;
    for (int i = 0; i < count; i++)
        partitions[i].first = -1;
    for (int i = 0; i < count; i++)
        put(topic, i);
}

static void report(void)
{
    fputs("{\"first\":[", stdout);
    for (int i = 0; i < count; i++)
        printf("%s%.1f", i ? "," : "", partitions[i].first);
    puts("]}");
    fflush(stdout);
    mark = -1;
    answered = 0;
}

/* A line on standard input; -1 at its end, 0 where there is none yet. */
static int line_waits(void)
{
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    char c;
    if (poll(&input, 1, 0) <= 0)
        return 0;
    for (;;) {
        if (read(STDIN_FILENO, &c, 1) <= 0)
            return -1;
        if (c == '\n')
            return 1;
    }
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: failover BOOTSTRAP TOPIC PARTITIONS INTERVAL_MS [NAME=VALUE ..]\n", stderr);
        return 2;
    }
    count = atoi(argv[3]);
    double interval = atof(argv[4]), started = now_ms();
    if (count < 1 || interval <= 0)
        die("arguments", "expected a number of partitions and milliseconds above 0");
    partitions = calloc((size_t)count, sizeof *partitions);
    rd_kafka_t *rk = open_producer(argv[1], argv + 5);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[2], NULL);
    long sent = 0;
    int runs = 0, input = 0;
    while (input >= 0) {
        double now = now_ms();
        /* The schedule goes round all partitions once an interval, whatever the answers do. */
        for (; (double)sent < (now - started) / interval * (double)count; sent++)
            if (partitions[sent % count].outstanding < OUTSTANDING)
                put(topic, (int)(sent % count));
        rd_kafka_poll(rk, 1);
        if (!runs && answered == count) {
            runs = 1;
            puts("running");
            fflush(stdout);
        }
        if (!runs && now - started > WAIT_MS)
            die("start", "not every partition acknowledged a record");
        if (mark >= 0 && (answered == count || now_ms() - mark > WAIT_MS))
            report();
        if (runs && mark < 0 && (input = line_waits()) > 0)
            begin(topic);
    }
    rd_kafka_flush(rk, WAIT_MS);
    printf("{\"acknowledged\":%ld,\"failed\":%ld}\n", acknowledged, failed);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return 0;
}
