"""Steps through loguru, whose prefix names module, function and line."""
import loguru


def main():
    for step in range(1, 13):
        loguru.logger.info("step {}/{} loss={:.4f} eta: 0:19:12", step, 400, 3 / step)


main()
